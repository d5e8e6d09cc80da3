#include <gmock/gmock.h>

#include <algorithm>

#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"

namespace ccgpu::evidence {
namespace {

using crypto::Certificate;
using crypto::PrivateKey;

const TimePoint kNow = ParseTime("2026-06-01T12:00:00Z").value();

struct Pki {
  PrivateKey ca_key = PrivateKey::Generate(crypto::KeyType::kP384), key = PrivateKey::Generate(crypto::KeyType::kP384),
             ocsp_key = PrivateKey::Generate(crypto::KeyType::kP384);
  Certificate ca, leaf, other, ocsp;

  Pki() {
    ca = Make("CA", ca_key.public_key(), true, nullptr, {1}, "");
    leaf = Make("leaf", key.public_key(), false, &ca, {0x41, 2, 3}, "");
    other = Make("other", key.public_key(), false, &ca, {0x80, 1}, "");
    ocsp = Make("OCSP", ocsp_key.public_key(), false, &ca, {3}, "OCSPSigning");
  }
  Certificate Make(const std::string& name, const crypto::PublicKey& public_key, bool is_ca, const Certificate* issuer,
                   Bytes serial, std::string usage) {
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", name}};
    spec.key = public_key;
    spec.serial = std::move(serial);
    spec.not_before = kNow - std::chrono::hours(1), spec.not_after = kNow + std::chrono::hours(1);
    spec.ca = spec.key_cert_sign = spec.crl_sign = is_ca;
    spec.extended_key_usage = std::move(usage);
    return crypto::MakeCertificate(spec, ca_key, issuer).value();
  }
  OcspSigner Signer() const { return {ocsp, ocsp_key, kNow, kNow + std::chrono::hours(1)}; }
};

TEST(Ocsp, AnswersARequest) {
  const Pki pki;
  Bytes asked;
  const auto answer = [&](ByteView serial) {
    asked = ToBytes(serial);
    return OcspAnswer{CertStatus::kRevoked, 6, kNow - std::chrono::hours(2)};
  };
  const Bytes nonce(32, 7);
  const auto response =
      ParseOcspResponse(MakeOcspResponse(MakeOcspRequest(pki.leaf, pki.ca, nonce), answer, pki.Signer()).value());
  ASSERT_TRUE(response.ok()) << response.error().ToString();
  EXPECT_EQ(asked, (Bytes{0x41, 2, 3}));
  EXPECT_EQ(response->nonce, nonce);
  ASSERT_EQ(response->singles.size(), 1u);
  const OcspSingle& single = response->singles[0];
  EXPECT_EQ(single.status, CertStatus::kRevoked);
  EXPECT_EQ(single.reason, 6);
  EXPECT_EQ(single.revoked_at, kNow - std::chrono::hours(2));
  EXPECT_EQ(single.this_update, kNow);
  EXPECT_EQ(single.next_update, kNow + std::chrono::hours(1));
  EXPECT_TRUE(single.IsAbout(pki.leaf, pki.ca));
  EXPECT_FALSE(single.IsAbout(pki.other, pki.ca));
  EXPECT_FALSE(single.IsAbout(pki.leaf, pki.ocsp));
  // The responder's certificate comes first, as NVIDIA's verifier expects.
  ASSERT_FALSE(response->certificates.empty());
  EXPECT_EQ(response->certificates[0].Der(), pki.ocsp.Der());
  EXPECT_TRUE(MayOcspSign(response->certificates[0]));
  EXPECT_FALSE(MayOcspSign(pki.leaf));
  EXPECT_TRUE(response->NamesResponder(pki.ocsp));
  EXPECT_FALSE(response->NamesResponder(pki.ca));
  EXPECT_TRUE(response->IsSignedBy(pki.ocsp.key()));
  EXPECT_FALSE(response->IsSignedBy(pki.ca.key()));
}

TEST(Ocsp, WithoutARequest) {
  const Pki pki;
  const auto response = ParseOcspResponse(MakeOcspResponse(pki.leaf, pki.ca, {}, pki.Signer()).value()).value();
  EXPECT_EQ(response.singles[0].status, CertStatus::kGood);
  EXPECT_TRUE(response.singles[0].IsAbout(pki.leaf, pki.ca));
  EXPECT_FALSE(response.nonce.has_value());
}

TEST(Ocsp, NoNonceInNoNonceOut) {
  const Pki pki;
  const auto response =
      ParseOcspResponse(MakeOcspResponse(
                            MakeOcspRequest(pki.leaf, pki.ca, {}), [](ByteView) { return OcspAnswer{}; }, pki.Signer())
                            .value())
          .value();
  EXPECT_FALSE(response.nonce.has_value());
}

TEST(Ocsp, BadInput) {
  const Pki pki;
  const Bytes der = MakeOcspResponse(pki.leaf, pki.ca, {}, pki.Signer()).value();
  for (size_t size = 0; size < der.size(); ++size)
    EXPECT_FALSE(ParseOcspResponse(ByteView(der).first(size)).ok()) << size;
  EXPECT_FALSE(ParseOcspResponse(Concat({der, Bytes{0}})).ok());
  EXPECT_EQ(ParseOcspResponse(MakeOcspError()).error().code, "ocsp.not-successful");
  EXPECT_FALSE(MakeOcspResponse(
                   Bytes{1, 2, 3}, [](ByteView) { return OcspAnswer{}; }, pki.Signer())
                   .ok());
  // A flipped byte of the signed part, or of the signature, is seen.
  size_t parsed = 0;
  for (size_t at = 0; at < der.size(); at += 3) {
    Bytes bad = der;
    bad[at] ^= 1;
    const auto response = ParseOcspResponse(bad);
    if (!response.ok()) continue;
    ++parsed;
    const auto good = ParseOcspResponse(der).value();
    const bool same = response->singles[0].cert_id_der == good.singles[0].cert_id_der &&
                      response->singles[0].status == good.singles[0].status;
    EXPECT_TRUE(!response->IsSignedBy(pki.ocsp.key()) || same) << at;
  }
  EXPECT_GT(parsed, 0u);
}

// OpenSSL reads a SEQUENCE OF whose tag lacks the constructed bit and encodes it with that bit to check the signature:
// bytes that nobody signed were taken for signed ones.
TEST(Ocsp, OnlyTheOneEncodingIsRead) {
  const Pki pki;
  const Bytes der = MakeOcspResponse(pki.leaf, pki.ca, {}, pki.Signer()).value();
  ASSERT_TRUE(ParseOcspResponse(der).value().IsSignedBy(pki.ocsp.key()));
  // The responder's certificate has a signature of its own; everything before it is this answer's.
  const Bytes certificate = pki.ocsp.Der();
  const auto before = std::search(der.begin(), der.end(), certificate.begin(), certificate.end());
  ASSERT_NE(before, der.end());
  for (size_t at = 0; at < static_cast<size_t>(before - der.begin()); ++at) {
    if (der[at] != 0x30 && der[at] != 0x31) continue;
    Bytes bad = der;
    bad[at] ^= 0x20;
    const auto response = ParseOcspResponse(bad);
    EXPECT_FALSE(response.ok() && response->IsSignedBy(pki.ocsp.key())) << at;
  }
}

TEST(Crl, RoundTrip) {
  const Pki pki;
  const auto crl = ParseCrl(
      MakeCrl(pki.ca, pki.ca_key, kNow, kNow + std::chrono::hours(1), {{{0x41, 2, 3}, kNow, 1}, {{0x80, 1}, kNow, -1}})
          .value());
  ASSERT_TRUE(crl.ok()) << crl.error().ToString();
  EXPECT_TRUE(crl->IsSignedBy(pki.ca));
  EXPECT_FALSE(crl->IsSignedBy(pki.ocsp));
  ASSERT_NE(crl->Find(pki.leaf.SerialNumber()), nullptr);
  EXPECT_EQ(crl->Find(pki.leaf.SerialNumber())->reason, 1);
  EXPECT_NE(crl->Find(pki.other.SerialNumber()), nullptr);
  EXPECT_EQ(crl->Find(Bytes{9}), nullptr);
  EXPECT_EQ(crl->this_update, kNow);
  EXPECT_EQ(crl->next_update, kNow + std::chrono::hours(1));
}

TEST(Crl, IssuerMustBeAllowedAndGenuine) {
  const Pki pki;
  // Signed by another key under the CA's name.
  const auto forged = ParseCrl(MakeCrl(pki.ca, pki.ocsp_key, kNow, kNow + std::chrono::hours(1), {}).value()).value();
  EXPECT_FALSE(forged.IsSignedBy(pki.ca));
  const Bytes der = MakeCrl(pki.ca, pki.ca_key, kNow, kNow + std::chrono::hours(1), {}).value();
  for (size_t size = 0; size < der.size(); ++size) EXPECT_FALSE(ParseCrl(ByteView(der).first(size)).ok()) << size;
  EXPECT_FALSE(ParseCrl(Concat({der, Bytes{0}})).ok());
}

}  // namespace
}  // namespace ccgpu::evidence
