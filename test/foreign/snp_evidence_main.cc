// foreign-snp-evidence DIR: the emulator's SNP evidence, healthy and with each fault, in DIR; the faulty ones are
// signed again by the emulator's own VCEK where a signature would hide the fault.
//
// DIR gets <case>.bin (report and certificate table, as the kernel hands them out), roots.pem (ASK, ARK) and
// cases.json:
// {"report_data", "measurement", "host_data", "chip_id": what to expect, hex, "cases": [{"name", "ours": "accepted" or
// the reason code of our verifier}]}.
#include <functional>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "gpu-emulator/identity/snp_identity.h"
#include "gpu-emulator/platform/snp_reporter.h"
#include "test/foreign/maker_main.h"
#include "trust/verify/verify.h"

namespace ccgpu {
namespace {

using evidence::SnpReport;
namespace policy = evidence::snp_policy;

const Bytes kReportData(64, 0x5a), kMeasurement(48, 0x11), kHostData(32, 0x22);

struct Case {
  const char* name;
  std::function<void(SnpReport&)> change;   // of a healthy report; signed again
  std::function<void(Bytes&)> damage = {};  // of the signed bytes
  std::function<void(verify::SnpOptions&)> ask = {};
};

uint64_t Changed(uint64_t tcb, int snp) {
  evidence::TcbParts parts = evidence::SplitTcb(tcb, false);
  parts.snp = static_cast<uint8_t>(parts.snp + snp);
  return evidence::JoinTcb(parts);
}

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"healthy", [](SnpReport&) {}},
      {"healthy-version-5",
       [](SnpReport& r) {
         r.version = 5;
         r.launch_mit_vector = r.current_mit_vector = 0xb;
       }},
      {"debug", [](SnpReport& r) { r.policy |= policy::kDebug; }},
      {"migration-agent", [](SnpReport& r) { r.policy |= policy::kMigrationAgent; }},
      {"policy-bit-17", [](SnpReport& r) { r.policy &= ~policy::kMustBeOne; }},
      {"policy-reserved", [](SnpReport& r) { r.policy |= 1ull << 40; }},
      {"vmpl-2", [](SnpReport& r) { r.vmpl = 2; }},
      {"old-nonce", [](SnpReport& r) { r.report_data[63] ^= 1; }},
      {"other-image", [](SnpReport& r) { r.measurement[0] ^= 1; }},
      {"other-policy-document", [](SnpReport& r) { r.host_data[31] ^= 1; }},
      {"other-chip", [](SnpReport& r) { r.chip_id[0] ^= 1; }},
      {"bound-to-a-migration-agent", [](SnpReport& r) { r.report_id_ma = Bytes(32, 7); }},
      {"reported-tcb-above-the-certified",
       [](SnpReport& r) { r.reported_tcb = r.committed_tcb = r.current_tcb = Changed(r.reported_tcb, 1); }},
      {"reported-tcb-below-the-certified", [](SnpReport& r) { r.reported_tcb = Changed(r.reported_tcb, -1); }},
      {"tcb-below-the-floor",
       [](SnpReport&) {},
       {},
       [](verify::SnpOptions& o) {
         o.minimum_tcb = evidence::TcbParts{std::nullopt, 10, 0, 25, 0};
       }},
      {"provisional-firmware",
       [](SnpReport& r) { r.current_tcb = Changed(r.current_tcb, 1); },
       {},
       [](verify::SnpOptions& o) { o.require_committed_is_current = true; }},
      {"no-alias-check",
       [](SnpReport& r) { r.platform_info &= ~evidence::snp_platform::kAliasCheckComplete; },
       {},
       [](verify::SnpOptions& o) { o.require_alias_check = true; }},
      {"platform-info-reserved", [](SnpReport& r) { r.platform_info |= 1 << 6; }},
      {"other-product", [](SnpReport& r) { r.cpuid_model = 1; }},
      {"signature-algorithm", [](SnpReport& r) { r.signature_algorithm = 2; }},
      {"no-signing-key", [](SnpReport& r) { r.key_info = 7 << 2; }},
      {"signed-by-a-vlek-it-says", [](SnpReport& r) { r.key_info = 1 << 2; }},
      {"reserved-bytes", [](SnpReport&) {}, [](Bytes& b) { b[0x210] = 1; }},
      {"flipped-measurement", [](SnpReport&) {}, [](Bytes& b) { b[0x90] ^= 1; }},
      {"flipped-signature", [](SnpReport&) {}, [](Bytes& b) { b[0x2a0] ^= 1; }},
      {"zero-signature", [](SnpReport&) {}, [](Bytes& b) { std::fill(b.begin() + 0x2a0, b.end(), 0); }},
      {"version-6", [](SnpReport& r) { r.version = 6; }},
  };
  return cases;
}

std::string OurWord(const Case& one, const emulator::SnpIdentity& chip, const Bytes& report, TimePoint now) {
  verify::SnpOptions options;
  options.report_data = kReportData;
  options.measurement = kMeasurement;
  options.host_data = kHostData;
  options.chip_id = chip.chip_id;
  if (one.ask) one.ask(options);
  verify::Anchors anchors;
  anchors.amd_roots = {chip.ark};
  anchors.insecure_accept_emulated = true;
  const evidence::SnpEvidence evidence{report, {{"VCEK", chip.vcek.Der()}, {"ASK", chip.ask.Der()}}};
  return foreign::OurWord(VerifySnp(evidence::Unverified(evidence), {}, anchors, options, now));
}

Status Make(const std::string& dir) {
  const TimePoint now = SystemClock().Now();
  ASSIGN_OR_RETURN(const emulator::SnpIdentity chip, emulator::LoadOrMakeSnpIdentity(dir + "/chip", now));
  crypto::SystemRandom random;
  const emulator::SnpReporter reporter(chip, {kMeasurement, kHostData}, random);
  ASSIGN_OR_RETURN(const emulator::TsmBlobs healthy, reporter.Report(kReportData, 0));
  RETURN_IF_ERROR(WriteFileAtomic(dir + "/roots.pem", chip.ask.Pem() + chip.ark.Pem()));
  Json out = Json::array();
  for (const Case& one : Cases()) {
    ASSIGN_OR_RETURN(SnpReport report, evidence::ParseSnpReport(healthy.report));
    one.change(report);
    Bytes bytes = evidence::SignSnpReport(report, chip.vcek_key);
    if (one.damage) one.damage(bytes);
    RETURN_IF_ERROR(WriteFileAtomic(dir + "/" + one.name + ".bin", ToText(Concat({bytes, chip.cert_table}))));
    out.push_back({{"name", one.name}, {"ours", OurWord(one, chip, bytes, now)}});
  }
  const Json facts = {{"report_data", HexEncode(kReportData)},
                      {"measurement", HexEncode(kMeasurement)},
                      {"host_data", HexEncode(kHostData)},
                      {"chip_id", HexEncode(chip.chip_id)},
                      {"cases", out}};
  return WriteFileAtomic(dir + "/cases.json", facts.dump(1));
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) { return ccgpu::foreign::MakerMain("foreign-snp-evidence", argc, argv, ccgpu::Make); }
