// A real swtpm: its quotes over a measured launch are accepted by our verifier and by tpm2_checkquote, and each fault
// is refused by both.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <filesystem>
#include <functional>
#include <iostream>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "gpu-emulator/platform/test_machine.h"
#include "gpu-emulator/platform/vtpm_reporter.h"
#include "trust/evidence/tpm_evidence.h"
#include "trust/verify/tpm/tpm.h"

namespace ccgpu::emulator::test {
namespace {

using evidence::TpmEvidence;

bool Has(const std::string& program) { return Exists("/usr/bin/" + program); }

// Skips the calling test, and says so where nobody can miss it.
#define SKIP_WITHOUT(program)                                                                   \
  if (!Has(program)) {                                                                          \
    std::cerr << "*** SKIPPED: " << (program) << " is not installed (swtpm, tpm2-tools) ***\n"; \
    GTEST_SKIP() << (program) << " is not installed";                                           \
  }                                                                                             \
  static_assert(true)

class Vtpm : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT("swtpm");
    identity_ = LoadOrMakeVtpmIdentity(dir_ / "identity", clock_.Now()).value();
    guest_ = Launch(measurement_);
    ASSERT_TRUE(guest_);
    options_.nonce = nonce_;
    anchors_.tpm_roots = {identity_.root.certificate};
    options_.require_event_log = true;
    anchors_.insecure_accept_emulated = true;
  }
  std::unique_ptr<VtpmGuest> Launch(const Bytes& measurement) {
    auto guest = VtpmGuest::Start(identity_, dir_ / ("state/" + std::to_string(count_++)), {measurement, host_data_},
                                  clock_.Now());
    EXPECT_TRUE(guest.ok()) << guest.error().ToString();
    return guest.ok() ? std::move(*guest) : nullptr;
  }
  TpmEvidence Collect(const VtpmGuest& guest) {
    const auto evidence = guest.Evidence(nonce_);
    EXPECT_TRUE(evidence.ok()) << evidence.error().ToString();
    return evidence::TpmEvidenceFromJson(evidence::TpmEvidenceToJson(*evidence)).value();
  }
  TpmEvidence Collect() { return Collect(*guest_); }
  verify::Verdict Judge(const TpmEvidence& evidence) {
    return verify::VerifyTpm(evidence::Unverified<TpmEvidence>(evidence), {}, anchors_, options_, clock_.Now());
  }
  std::string Code(const TpmEvidence& evidence) {
    const verify::Verdict v = Judge(evidence);
    return v.accepted ? "" : v.FirstFailure()->reason.code;
  }

  TempDir dir_;
  ManualClock clock_{ParseTime("2026-06-01").value()};
  crypto::SystemRandom random_;
  Bytes measurement_ = Bytes(48, 0x33), host_data_ = Bytes(32, 0x44), nonce_ = random_.Take(64);
  VtpmIdentity identity_;
  std::unique_ptr<VtpmGuest> guest_;
  int count_ = 0;
  verify::Anchors anchors_;
  verify::TpmOptions options_;
};

TEST_F(Vtpm, QuotesOfARealTpmAreAccepted) {
  const TpmEvidence evidence = Collect();
  options_.expected_pcrs[8] = evidence::TpmExtend(evidence::tpm_alg::kSha256, Bytes(32), host_data_);
  const verify::Verdict v = Judge(evidence);
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "emulated");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["secureboot"], false);
  EXPECT_EQ(claims["init_data"], HexEncode(options_.expected_pcrs[8]));
  // What was launched can be told from the log, which the registers vouch for.
  const auto replayed = evidence::ReplayTcgLog(MeasuredLaunch({measurement_, host_data_}), evidence::tpm_alg::kSha256);
  EXPECT_EQ(claims["pcr04"], HexEncode(replayed->at(4)));
}

TEST_F(Vtpm, EachGuestHasATpmOfItsOwn) {
  const auto other = Launch(Bytes(48, 0x34));
  const TpmEvidence theirs = Collect(*other);
  const TpmEvidence ours = Collect();
  EXPECT_NE(ours.ak_public, theirs.ak_public);
  EXPECT_EQ(ours.pcrs.at(8), theirs.pcrs.at(8));
  EXPECT_NE(ours.pcrs.at(4), theirs.pcrs.at(4));
  options_.expected_pcrs[4] = ours.pcrs.at(4);
  EXPECT_EQ(Code(ours), "");
  EXPECT_EQ(Code(theirs), "tpm.pcr-mismatch");
}

TEST_F(Vtpm, WithoutTheInsecureOptionItIsRefused) {
  anchors_.insecure_accept_emulated = false;
  EXPECT_EQ(Code(Collect()), "environment.emulated");
}

TEST_F(Vtpm, ItsStateGoesWithTheGuest) {
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_ / "state"), {}), 1);
  guest_.reset();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_ / "state"), {}), 0);
}

TEST_F(Vtpm, NoncesThatATpmDoesNotTake) {
  EXPECT_TRUE(guest_->Evidence(Bytes(64)).ok());
  EXPECT_EQ(guest_->Evidence(Bytes(67)).error().code, "vtpm.command-failed");
  EXPECT_TRUE(guest_->Evidence(Bytes(64)).ok());
}

TEST_F(Vtpm, AsAPlatform) {
  const VtpmPlatform platform(identity_, dir_ / "platform", clock_);
  EXPECT_EQ(platform.tsm_provider(), kVtpmProvider);
  const auto reporter = platform.Launched({measurement_, host_data_}, random_);
  const auto blobs = reporter->Report(nonce_, 0);
  ASSERT_TRUE(blobs.ok()) << blobs.error().ToString();
  EXPECT_EQ(Code(evidence::TpmEvidenceFromJson(AsText(blobs->report)).value()), "");
  EXPECT_EQ(reporter->Report(Bytes(63), 0).error().code, "platform.bad-report-request");
  EXPECT_EQ(reporter->Report(Bytes(64), 1).error().code, "platform.bad-report-request");
}

// -- a TPM of the test's own, for what a well-behaved platform never does --

class BareTpm : public Vtpm {
 protected:
  // Evidence of a fresh TPM into which `log` is measured, with these registers quoted.
  TpmEvidence Quote(const evidence::TcgLog& log, const std::vector<evidence::TpmPcrSelection>& selections,
                    const std::function<void(VtpmDevice&)>& more = {}) {
    auto device = VtpmDevice::Start(dir_ / ("bare" + std::to_string(count_++)));
    EXPECT_TRUE(device.ok()) << device.error().ToString();
    for (const auto& event : log.events)
      EXPECT_TRUE(device->Extend(event.index, evidence::tpm_alg::kSha256, event.digests[0].digest).ok());
    if (more) more(*device);
    const auto key = device->MakeAttestationKey().value();
    const auto quoted = device->Quote(key, nonce_, selections).value();
    TpmEvidence out;
    out.quote = quoted.attest;
    out.signature = quoted.signature;
    out.ak_area = evidence::EncodeTpmPublic(key.area);
    out.ak_public = key.area.Key()->Der();
    options_.pinned_keys = {out.ak_public};
    out.event_log = evidence::EncodeTcgLog(log);
    for (const auto& selection : selections) {
      for (uint32_t index : selection.Indices()) out.pcrs[index] = device->ReadRegister(index, selection.hash).value();
    }
    return out;
  }
  std::vector<evidence::TpmPcrSelection> All(uint16_t bank) {
    return {evidence::TpmPcrSelection::Of(bank, options_.pcrs)};
  }
  evidence::TcgLog Log() { return MeasuredLaunch({measurement_, host_data_}); }
};

// rule 10: tpm
TEST_F(BareTpm, WhatATpmDoesSignButNobodyShouldBelieve) {
  constexpr uint16_t kSha256 = evidence::tpm_alg::kSha256;
  EXPECT_EQ(Code(Quote(Log(), All(kSha256))), "");
  // advisory: CVE-2022-0317
  EXPECT_EQ(Code(Quote(Log(), {evidence::TpmPcrSelection::Of(kSha256, {})})), "tpm.pcr-selection");
  EXPECT_EQ(Code(Quote(Log(), {evidence::TpmPcrSelection::Of(kSha256, {0, 1})})), "tpm.pcr-selection");
  EXPECT_EQ(Code(Quote(Log(), All(evidence::tpm_alg::kSha1))), "tpm.sha1-bank");
  EXPECT_EQ(Code(Quote(Log(), All(kSha256),
                       [&](VtpmDevice& device) { EXPECT_TRUE(device.Extend(4, kSha256, Bytes(32, 1)).ok()); })),
            "tpm.log-mismatch");
  EXPECT_EQ(Code(Quote(Log(), All(kSha256),
                       [&](VtpmDevice& device) { EXPECT_TRUE(device.Extend(9, kSha256, Bytes(32, 1)).ok()); })),
            "tpm.log-mismatch");
}

TEST_F(BareTpm, ErrorsSayTheResponseCode) {
  auto device = VtpmDevice::Start(dir_ / "bare").value();
  const auto refused = device.Transmit(Bytes{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0xff, 0xff});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "vtpm.command-failed");
  EXPECT_THAT(refused.error().text, testing::HasSubstr("0x00000143"));   // TPM_RC_COMMAND_CODE
  EXPECT_TRUE(device.ReadRegister(0, evidence::tpm_alg::kSha256).ok());  // and it lives
}

// -- a foreign verifier --

// Whether tpm2_checkquote accepts the evidence for this nonce.
class Tpm2Tools : public Vtpm {
 protected:
  void SetUp() override {
    SKIP_WITHOUT("tpm2_checkquote");
    Vtpm::SetUp();
  }
  bool Accepts(const TpmEvidence& evidence, const Bytes& nonce) {
    const std::string d = dir_ / "";
    const auto key = crypto::PublicKey::FromDer(evidence.ak_public);
    EXPECT_TRUE(WriteFileAtomic(d + "ak.pem", key->Pem()).ok());
    EXPECT_TRUE(WriteFileAtomic(d + "quote", AsText(evidence.quote)).ok());
    EXPECT_TRUE(WriteFileAtomic(d + "signature", AsText(evidence.signature)).ok());
    EXPECT_TRUE(WriteFileAtomic(d + "pcrs", AsText(PcrFile(evidence))).ok());
    const std::string command = "tpm2_checkquote -u " + d + "ak.pem -m " + d + "quote -s " + d +
                                "signature -g sha256 -f " + d + "pcrs -q " + HexEncode(nonce) + " >" + d + "out 2>&1";
    const int status = std::system(command.c_str());
    last_output_ = ReadFile(d + "out").value();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // The tools' own file of register values: the memory of TPML_PCR_SELECTION (16 places of 8 bytes), a count, and as
  // many TPML_DIGEST (8 places of 66 bytes).
  static Bytes PcrFile(const TpmEvidence& evidence) {
    Writer out;
    out.U32(1).U16(evidence::tpm_alg::kSha256).U8(3).Raw(Bytes(3, 0xff)).Zeros(2).Zeros(15 * 8);
    out.U32((evidence.pcrs.size() + 7) / 8);
    for (auto at = evidence.pcrs.begin(); at != evidence.pcrs.end();) {
      out.U32(8);
      for (int i = 0; i < 8; ++i, ++at) out.U16(at->second.size()).Raw(at->second).Zeros(64 - at->second.size());
    }
    return out.Finish();
  }
  std::string last_output_;
};

TEST_F(Tpm2Tools, CheckquoteAcceptsOurQuotesAndRefusesEachFault) {
  const TpmEvidence good = Collect();
  EXPECT_TRUE(Accepts(good, nonce_)) << last_output_;
  Bytes other_nonce = nonce_;
  other_nonce[0] ^= 1;
  EXPECT_FALSE(Accepts(good, other_nonce));
  const auto refused = [&](const std::function<void(TpmEvidence&)>& change) {
    TpmEvidence bad = good;
    change(bad);
    EXPECT_FALSE(Accepts(bad, nonce_)) << last_output_;
    EXPECT_NE(Code(bad), "");  // and so do we
  };
  refused([](TpmEvidence& e) { e.pcrs[4][0] ^= 1; });
  refused([](TpmEvidence& e) { e.quote[60] ^= 1; });
  refused([](TpmEvidence& e) { e.signature.back() ^= 1; });
  refused(
      [](TpmEvidence& e) { e.ak_public = crypto::PrivateKey::Generate(crypto::KeyType::kP256).public_key().Der(); });
}

// Their own tools' quote of a swtpm, with tpm2-tools' files, is read and accepted by us: the formats are the TPM's.
TEST_F(Tpm2Tools, QuotesMadeByTpm2ToolsAreAccepted) {
  SKIP_WITHOUT("tpm2_quote");
  const std::string d = dir_ / "";
  const std::string script =
      "set -e; cd " + d +
      "; mkdir t; exec >log 2>&1; "
      "swtpm socket --tpm2 --tpmstate dir=$PWD/t --server type=unixio,path=$PWD/s --ctrl type=unixio,path=$PWD/s.ctrl "
      "--flags not-need-init,startup-clear --daemon --pid file=$PWD/pid; trap 'kill $(cat pid)' EXIT; "
      "export TPM2TOOLS_TCTI=swtpm:path=$PWD/s; "
      "tpm2_createek -c ek.ctx -G ecc -u ek.pub; tpm2_flushcontext -t; "
      "tpm2_createak -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pub; tpm2_flushcontext -t; "
      "tpm2_pcrextend 4:sha256=" +
      HexEncode(Bytes(32, 7)) +
      "; "
      "tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7 -q " +
      HexEncode(nonce_) +
      " -m q -s sig; "
      "tpm2_pcrread sha256:0,1,2,3,4,5,6,7 -o pcrs";
  ASSERT_TRUE(WriteFileAtomic(d + "script", script).ok());
  ASSERT_EQ(std::system(("bash " + d + "script").c_str()), 0) << ReadFile(d + "log").value();
  TpmEvidence evidence;
  const auto file = [&](const char* name) { return ToBytes(AsBytes(ReadFile(d + name).value())); };
  evidence.quote = file("q");
  evidence.signature = file("sig");
  evidence.ak_area = file("ak.pub");
  const Bytes values = file("pcrs");
  ASSERT_EQ(values.size(), 8 * 32u);
  for (uint32_t i = 0; i < 8; ++i) evidence.pcrs[i] = ToBytes(ByteView(values).subspan(32 * i, 32));
  options_.pcrs = {0, 1, 2, 3, 4, 5, 6, 7};
  options_.pinned_keys = {evidence::ParseTpmPublic(evidence.ak_area)->Key()->Der()};
  options_.require_event_log = false;
  options_.expected_pcrs[4] = evidence::TpmExtend(evidence::tpm_alg::kSha256, Bytes(32), Bytes(32, 7));
  const verify::Verdict v = Judge(evidence);
  EXPECT_TRUE(v.accepted) << v.ToJson();
}

}  // namespace
}  // namespace ccgpu::emulator::test
