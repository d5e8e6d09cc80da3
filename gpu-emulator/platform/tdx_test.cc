// The emulated TDX machine as a verifier sees it: healthy quotes of both versions, and each fault.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/platform/tdx_reporter.h"
#include "gpu-emulator/platform/test_machine.h"
#include "gpu-emulator/services/pcs_documents.h"
#include "trust/verify/verify.h"

namespace ccgpu::emulator {
namespace {

const Bytes kReportData(64, 0x5a), kMeasurement(48, 0x11), kHostData(32, 0x22);

struct TdxMachine {
  std::string Judge(TdxFault fault, uint16_t version) {
    const PcsDocuments pcs(identity, fault, clock);
    const TdxPlatform platform(identity, version, fault);
    EXPECT_EQ(platform.tsm_provider(), "tdx_guest");
    auto blobs = platform.Launched({kMeasurement, kHostData}, random)->Report(kReportData, 0);
    EXPECT_TRUE(blobs.ok() && blobs->auxiliary.empty());
    verify::TdxOptions options;
    options.report_data = kReportData;
    options.mr_td = kMeasurement;
    options.mr_config_id = Concat({kHostData, Bytes(16)});
    verify::Anchors anchors;
    anchors.intel_roots = {identity.root.certificate};
    anchors.insecure_accept_emulated = true;
    evidence::Collateral collateral;
    collateral.tcb_infos = {{pcs.TcbInfo(), identity.TcbIssuerChain()}};
    collateral.qe_identities = {{pcs.QeIdentity(), identity.TcbIssuerChain()}};
    collateral.crls = {pcs.RootCrl(), pcs.PckCrl()};
    const evidence::TdxEvidence evidence{blobs->report, std::nullopt};
    const auto verdict = verify::VerifyTdx(evidence::Unverified(evidence), collateral, anchors, options, clock.Now());
    if (verdict.accepted) return verdict.environment;
    return verdict.FirstFailure() ? verdict.FirstFailure()->reason.code : "refused";
  }

  TempDir dir;
  ManualClock clock{ParseTime("2026-06-01").value()};
  TdxIdentity identity = LoadOrMakeTdxIdentity(dir / "intel", clock.Now()).value();
  crypto::SystemRandom random;
};

TEST(TdxPlatform, HealthyQuotesAreAcceptedAsEmulated) {
  TdxMachine machine;
  for (const uint16_t version : {4, 5}) EXPECT_EQ(machine.Judge(TdxFault::kNone, version), "emulated") << version;
}

TEST(TdxPlatform, EachFaultIsFound) {
  TdxMachine machine;
  const std::pair<const char*, const char*> expected[] = {{"debug", "tdx.debug"},
                                                          {"sept-ve", "tdx.sept-ve"},
                                                          {"tcb-out-of-date", "tdx.tcb-status"},
                                                          {"tcb-revoked", "tdx.tcb-status"},
                                                          {"pck-revoked", "tdx.revoked"},
                                                          {"stale-collateral", "tdx.revocation-stale"},
                                                          {"foreign-module", "tdx.module-mismatch"},
                                                          {"qe-debug", "tdx.qe-debug"}};
  EXPECT_EQ(std::size(expected) + 1, TdxFaults().size()) << "each fault but none has its row here";
  for (const auto& [fault, code] : expected) {
    for (const uint16_t version : {4, 5})
      EXPECT_EQ(machine.Judge(ParseTdxFault(fault).value(), version), code) << fault;
  }
  EXPECT_EQ(ParseTdxFault("firmware").error().code, "platform.unknown-fault");
}

TEST(TdxPlatform, IdentityIsKept) {
  TdxMachine machine;
  const TdxIdentity again = LoadOrMakeTdxIdentity(machine.dir / "intel", machine.clock.Now()).value();
  EXPECT_EQ(again.PckChain(), machine.identity.PckChain());
  EXPECT_EQ(again.attestation_key.public_key(), machine.identity.attestation_key.public_key());
}

TEST(TdxPlatform, RefusesWhatTdxHasNot) {
  TdxMachine machine;
  const TdxPlatform platform(machine.identity, 4);
  const auto reporter = platform.Launched({kMeasurement, kHostData}, machine.random);
  EXPECT_EQ(reporter->Report(Bytes(63), 0).error().code, "platform.bad-report-request");
  EXPECT_EQ(reporter->Report(kReportData, 1).error().code, "platform.bad-report-request");
}

}  // namespace
}  // namespace ccgpu::emulator
