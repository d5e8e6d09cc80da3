#include <gtest/gtest.h>
#include <httplib.h>
#include <openssl/ocsp.h>

#include <filesystem>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/identity/board_measurements.h"
#include "gpu-emulator/services/http_service.h"
#include "trust/evidence/rim.h"

namespace ccgpu::emulator {
namespace {

using evidence::CertStatus;

class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() {
    pki_ = LoadOrMakeDevicePki(dir_ / "vendor", "GH100", clock_.Now()).value();
    board_ = LoadOrMakeBoard(dir_.path(), 0, pki_, profile_, clock_.Now()).value();
    endorsements_ = std::make_unique<Endorsements>(pki_, MakeReferenceManifests(profile_, pki_).value(), clock_);
    endorsements_->Announce(board_);
    auto http = HttpService::Listen("127.0.0.1:0", *endorsements_, clock_,
                                    {[] { return std::string("metric 1\n"); }, [this] { return healthy_; }});
    EXPECT_TRUE(http.ok()) << http.error().ToString();
    http_ = std::move(*http);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", http_->port());
  }
  Bytes Ask(ByteView request) {
    auto response = client_->Post("/", ToText(request), "application/ocsp-request");
    return response && response->status == 200 ? ToBytes(AsBytes(response->body)) : Bytes();
  }
  ManualClock clock_{SystemClock().Now()};
  const Profile profile_ = LoadProfile("h100-ncc-v5").value();
  const TempDir dir_;
  DevicePki pki_;
  BoardIdentity board_;
  bool healthy_ = true;
  std::unique_ptr<Endorsements> endorsements_;
  std::unique_ptr<HttpService> http_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(ServicesTest, RimServiceAnswersInNvidiasShape) {
  auto ids = client_->Get("/v1/rim/ids");
  ASSERT_TRUE(ids);
  const Json list = ParseJson(ids->body, "ids").value();
  ASSERT_EQ(list["ids"].size(), 2u);
  for (const std::string id : list["ids"]) {
    auto answer = client_->Get("/v1/rim/" + id);
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->status, 200);
    const Json rim = ParseJson(answer->body, "rim").value();
    EXPECT_EQ(rim["id"], id);
    const Bytes xml = Base64Decode(rim["rim"].get<std::string>()).value();
    EXPECT_EQ(rim["sha256"], HexEncode(crypto::Sha256(xml)));
    auto parsed = evidence::ParseRim(AsText(xml));
    ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
    EXPECT_TRUE(evidence::VerifyRimSignature(*parsed));
  }
  auto missing = client_->Get("/v1/rim/NV_GPU_DRIVER_GH100_1.2.3");
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(ParseJson(missing->body, "404").value()["message"], "RIM_NOT_FOUND");
}

// Each link of the two chains that verifiers ask about, over HTTP, with a nonce.
TEST_F(ServicesTest, OcspSaysGoodAboutEveryIssuedCertificate) {
  const std::vector<std::pair<crypto::Certificate, crypto::Certificate>> links = {
      {board_.chain[1], board_.chain[2]},       {board_.chain[2], board_.chain[3]},
      {board_.chain[3], board_.chain[4]},       {pki_.RimChain()[0], pki_.RimChain()[1]},
      {pki_.RimChain()[1], pki_.RimChain()[2]}, {pki_.RimChain()[2], pki_.RimChain()[3]}};
  for (const auto& [subject, issuer] : links) {
    const Bytes nonce(32, 0x5a);
    auto response = evidence::ParseOcspResponse(Ask(evidence::MakeOcspRequest(subject, issuer, nonce)));
    ASSERT_TRUE(response.ok()) << subject.SubjectName() << ": " << response.error().ToString();
    EXPECT_EQ(response->nonce, nonce);
    ASSERT_EQ(response->singles.size(), 1u);
    EXPECT_EQ(response->singles[0].status, CertStatus::kGood);
    EXPECT_TRUE(response->singles[0].IsAbout(subject, issuer));
    ASSERT_FALSE(response->certificates.empty());
    EXPECT_TRUE(response->IsSignedBy(response->certificates[0].key()));
    EXPECT_TRUE(response->certificates[0].IsSignedBy(issuer));
    EXPECT_TRUE(evidence::MayOcspSign(response->certificates[0]));
    EXPECT_EQ(response->singles[0].this_update, clock_.Now());
    EXPECT_EQ(response->singles[0].next_update, clock_.Now() + std::chrono::hours(1));
  }
}

TEST_F(ServicesTest, RevocationAndHoldComeAndGo) {
  const auto status = [&](const crypto::Certificate& subject, const crypto::Certificate& issuer) {
    auto response = evidence::ParseOcspResponse(Ask(evidence::MakeOcspRequest(subject, issuer, Bytes(32, 1))));
    EXPECT_TRUE(response.ok());
    return response.ok() ? std::pair(response->singles[0].status, response->singles[0].reason)
                         : std::pair(CertStatus::kUnknown, -2);
  };
  const auto board = [&] { return status(board_.chain[1], board_.chain[2]); };
  const auto signer = [&] { return status(pki_.RimChain()[0], pki_.RimChain()[1]); };
  const std::pair good(CertStatus::kGood, -1);
  endorsements_->SetRevocation(board_, Revocation::kKeyCompromise);
  EXPECT_EQ(board(), std::pair(CertStatus::kRevoked, 1));
  EXPECT_EQ(signer(), good);
  for (const auto& item : endorsements_->CollateralFor({&board_})) {
    if (item.id != HexEncode(crypto::Sha256(board_.identity.Der()))) continue;
    EXPECT_EQ(evidence::ParseOcspResponse(item.data)->singles[0].status, CertStatus::kRevoked);
  }
  endorsements_->SetRevocation(board_, Revocation::kCertificateHold);
  EXPECT_EQ(board(), std::pair(CertStatus::kRevoked, 6));
  endorsements_->SetRimSignerRevocation(Revocation::kCertificateHold);
  EXPECT_EQ(signer(), std::pair(CertStatus::kRevoked, 6));
  endorsements_->SetRevocation(board_, Revocation::kNone);
  endorsements_->SetRevocation(board_, Revocation::kNone);
  endorsements_->SetRimSignerRevocation(Revocation::kNone);
  EXPECT_EQ(board(), good);
  EXPECT_EQ(signer(), good);
}

// NVIDIA's Python verifier asks with SHA-384, its C++ one with SHA-1; the answer's CertID is the asked one.
TEST_F(ServicesTest, OcspAnswersUnderTheAskersHash) {
  for (const EVP_MD* hash : {EVP_sha1(), EVP_sha256(), EVP_sha384()}) {
    std::unique_ptr<OCSP_REQUEST, decltype(&OCSP_REQUEST_free)> request(OCSP_REQUEST_new(), OCSP_REQUEST_free);
    OCSP_request_add0_id(request.get(), OCSP_cert_to_id(hash, board_.chain[1].raw(), board_.chain[2].raw()));
    uint8_t* der = nullptr;
    const int size = i2d_OCSP_REQUEST(request.get(), &der);
    ASSERT_GT(size, 0);
    const Bytes bytes(der, der + size);
    OPENSSL_free(der);
    std::string path = "/ocsp/";
    for (const char c : Base64Encode(bytes))
      path += c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string(1, c);
    auto got = client_->Get(path.c_str());
    ASSERT_TRUE(got);
    EXPECT_EQ(got->get_header_value("Content-Type"), "application/ocsp-response");
    for (const Bytes& answer : {Ask(bytes), ToBytes(AsBytes(got->body))}) {
      auto response = evidence::ParseOcspResponse(answer);
      ASSERT_TRUE(response.ok()) << EVP_MD_get0_name(hash) << ": " << response.error().ToString();
      EXPECT_TRUE(response->singles[0].IsAbout(board_.chain[1], board_.chain[2]));
      EXPECT_EQ(response->singles[0].status, CertStatus::kGood);
    }
  }
  auto nonsense = client_->Get("/ocsp/@@@");
  ASSERT_TRUE(nonsense);
  const auto* at = reinterpret_cast<const uint8_t*>(nonsense->body.data());
  std::unique_ptr<OCSP_RESPONSE, decltype(&OCSP_RESPONSE_free)> error(
      d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(nonsense->body.size())), OCSP_RESPONSE_free);
  ASSERT_TRUE(error);
  EXPECT_EQ(OCSP_response_status(error.get()), OCSP_RESPONSE_STATUS_MALFORMEDREQUEST);
}

// The emulators of two nodes share their authorities, and verifiers may ask either of them.
TEST_F(ServicesTest, BoardsOfAnotherNodeAreKnownUnlessRevokedHere) {
  const BoardIdentity other = LoadOrMakeBoard(dir_ / "node2", 0, pki_, profile_, clock_.Now()).value();
  ASSERT_NE(other.pdi, board_.pdi);
  EXPECT_TRUE(IsBoardSerial(pki_, other.identity.SerialNumber()));
  const auto status = [&] {
    return evidence::ParseOcspResponse(Ask(evidence::MakeOcspRequest(other.chain[1], other.chain[2], {})))
        .value()
        .singles[0]
        .status;
  };
  EXPECT_EQ(status(), CertStatus::kGood);
  endorsements_->SetRevocation(other, Revocation::kKeyCompromise);
  EXPECT_EQ(status(), CertStatus::kRevoked);
  // The same serial number means nothing under other authorities.
  const DevicePki others = LoadOrMakeDevicePki(dir_ / "others", "GH100", clock_.Now()).value();
  EXPECT_FALSE(IsBoardSerial(others, other.identity.SerialNumber()));
}

TEST_F(ServicesTest, UnknownCertificatesAreNotGood) {
  // Never announced: of any form, and of a board's form with a PDI that the provisioner's holder did not make.
  Bytes forged = board_.identity.SerialNumber();
  forged.back() ^= 1;
  for (const Bytes& serial : {Bytes{0x12, 0x34}, forged}) {
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", "stranger"}};
    spec.key = crypto::PrivateKey::Generate(crypto::KeyType::kP384).public_key();
    spec.serial = serial;
    spec.not_before = clock_.Now();
    spec.not_after = NoEnd();
    const Authority& issuer = pki_.provisioner.authority;
    const crypto::Certificate stranger = crypto::MakeCertificate(spec, issuer.key, &issuer.certificate).value();
    auto response = evidence::ParseOcspResponse(Ask(evidence::MakeOcspRequest(stranger, issuer.certificate, {})));
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->singles[0].status, CertStatus::kUnknown);
  }
  // An authority that is not ours, and bytes that are no request.
  const DevicePki other = LoadOrMakeDevicePki(dir_ / "other", "GH100", clock_.Now()).value();
  const crypto::Certificate foreign = other.family.authority.certificate;
  EXPECT_FALSE(
      evidence::ParseOcspResponse(Ask(evidence::MakeOcspRequest(foreign, other.root.authority.certificate, {}))).ok());
  EXPECT_FALSE(evidence::ParseOcspResponse(Ask(Bytes{1, 2, 3})).ok());
  EXPECT_FALSE(evidence::ParseOcspResponse(Ask({})).ok());
}

TEST_F(ServicesTest, MirrorHandsOnWhatFitsItsName) {
  const std::string folder = dir_ / "mirror";
  std::filesystem::create_directory(folder);
  const std::string xml = "<SoftwareIdentity/>", digest = HexEncode(crypto::Sha256(AsBytes(xml)));
  const auto put = [&](const std::string& name, const Json& content) {
    ASSERT_TRUE(WriteFileAtomic(folder + "/" + name + ".json", content.dump()).ok());
  };
  const auto answer = [&](const std::string& id) {
    return Json{{"id", id}, {"rim", Base64Encode(AsBytes(xml))}, {"sha256", digest}, {"rim_format", "TCG_RIM_SWID"}};
  };
  put("NV_GPU_DRIVER_GH100_1.0", answer("NV_GPU_DRIVER_GH100_1.0"));
  put("NV_GPU_DRIVER_GH100_2.0", answer("NV_GPU_DRIVER_GH100_1.0"));
  Json changed = answer("NV_GPU_DRIVER_GH100_3.0");
  changed["rim"] = Base64Encode(AsBytes("<Other/>"));
  put("NV_GPU_DRIVER_GH100_3.0", changed);
  put("NV_GPU_DRIVER_GH100_4.0", Json::array());
  put("NV_GPU_DRIVER_GH100_5.0", {{"id", 5}});
  put("NV_GPU_DRIVER_GH100_550.90.07", answer("NV_GPU_DRIVER_GH100_550.90.07"));  // which we have ourselves
  HttpService::Hooks hooks;
  hooks.rim_mirror = folder;
  auto http = HttpService::Listen("127.0.0.1:0", *endorsements_, clock_, std::move(hooks)).value();
  httplib::Client client("127.0.0.1", http->port());
  auto got = client.Get("/v1/rim/NV_GPU_DRIVER_GH100_1.0");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(ParseJson(got->body, "rim").value(), answer("NV_GPU_DRIVER_GH100_1.0"));
  for (const char* bad : {"2.0", "3.0", "4.0", "5.0", "6.0"})
    EXPECT_EQ(client.Get(("/v1/rim/NV_GPU_DRIVER_GH100_" + std::string(bad)).c_str())->status, 404) << bad;
  EXPECT_NE(ParseJson(client.Get("/v1/rim/NV_GPU_DRIVER_GH100_550.90.07")->body, "rim").value()["sha256"], digest);
  const Json ids = ParseJson(client.Get("/v1/rim/ids")->body, "ids").value()["ids"];
  EXPECT_EQ(ids.size(), 2u + 5u);
  EXPECT_EQ(client.Get("/v1/rim/..%2fmirror%2fNV_GPU_DRIVER_GH100_1.0")->status, 404);
}

TEST_F(ServicesTest, CollateralHoldsAllThatAVerifierAsksFor) {
  const auto items = endorsements_->CollateralFor({&board_});
  int rims = 0, ocsp = 0;
  for (const auto& item : items) {
    rims += item.kind == "rim";
    ocsp += item.kind == "ocsp";
  }
  EXPECT_EQ(rims, 2);
  EXPECT_EQ(ocsp, 6);
  EXPECT_TRUE(endorsements_->CollateralFor({}).empty());
}

TEST_F(ServicesTest, HealthAndMetrics) {
  EXPECT_EQ(client_->Get("/metrics")->body, "metric 1\n");
  EXPECT_EQ(client_->Get("/healthz")->status, 200);
  healthy_ = false;
  EXPECT_EQ(client_->Get("/healthz")->status, 503);
  EXPECT_EQ(client_->Get("/v1/secrets")->status, 404);
}

TEST_F(ServicesTest, RefusesBadAddresses) {
  const std::string taken = "127.0.0.1:" + std::to_string(http_->port());
  for (const std::string& address :
       {std::string("127.0.0.1"), std::string("127.0.0.1:99999"), std::string("127.0.0.1:x"), taken}) {
    auto second = HttpService::Listen(address, *endorsements_, clock_, {});
    ASSERT_FALSE(second.ok()) << address;
    EXPECT_EQ(second.error().code, "http.bind");
  }
}

}  // namespace
}  // namespace ccgpu::emulator
