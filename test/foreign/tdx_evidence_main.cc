// foreign-tdx-evidence DIR: the emulator's TDX quotes, healthy and with each fault, in DIR; the faulty ones are signed
// again by the emulator's own keys where a signature would hide the fault.
//
// DIR gets <case>.dat, root.pem and cases.json: {"report_data", "mr_td", "mr_config_id", "mr_seam": what to expect,
// hex, "cases": [{"name", "ours": "accepted" or the reason code of our verifier}]}.
#include <functional>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "gpu-emulator/platform/tdx_reporter.h"
#include "gpu-emulator/services/pcs_documents.h"
#include "test/foreign/maker_main.h"
#include "trust/verify/verify.h"

namespace ccgpu {
namespace {

using evidence::TdxQuote;
namespace attribute = evidence::td_attribute;

const Bytes kReportData(64, 0x5a), kMeasurement(48, 0x11), kHostData(32, 0x22);

struct Case {
  const char* name;
  std::function<void(TdxQuote&, evidence::QeReport&)> change;  // of a healthy quote; signed again
  std::function<void(Bytes&)> damage = {};                     // of the signed bytes
  uint16_t version = 4;
};

void Nothing(TdxQuote&, evidence::QeReport&) {}
constexpr size_t kBody = evidence::kTdxHeaderSize, kSigned = kBody + evidence::kTdxBody10Size;

const std::vector<Case>& Cases() {
  using Qe = evidence::QeReport;
  static const std::vector<Case> cases = {
      {"healthy", Nothing},
      {"healthy-version-5", Nothing, {}, 5},
      {"healthy-with-padding", Nothing, [](Bytes& b) { b.resize(8000); }},
      {"debug", [](TdxQuote& q, Qe&) { q.body.td_attributes |= attribute::kDebug; }},
      {"unknown-attribute", [](TdxQuote& q, Qe&) { q.body.td_attributes |= 1 << 4; }},
      {"xfam-unknown", [](TdxQuote& q, Qe&) { q.body.xfam |= 1ull << 40; }},
      {"xfam-without-sse", [](TdxQuote& q, Qe&) { q.body.xfam = 0xe5; }},
      {"old-nonce", [](TdxQuote& q, Qe&) { q.body.report_data[63] ^= 1; }},
      {"other-image", [](TdxQuote& q, Qe&) { q.body.mr_td[0] ^= 1; }},
      {"other-policy-document", [](TdxQuote& q, Qe&) { q.body.mr_config_id[31] ^= 1; }},
      {"other-module", [](TdxQuote& q, Qe&) { q.body.mr_seam[0] ^= 1; }},
      {"other-vendor", [](TdxQuote& q, Qe&) { q.vendor[0] ^= 1; }},
      {"sgx-quote", [](TdxQuote& q, Qe&) { q.tee_type = 0; }},
      {"key-type-3", [](TdxQuote& q, Qe&) { q.key_type = 3; }},
      {"version-3", [](TdxQuote& q, Qe&) { q.version = 3; }},
      {"flipped-mrtd", Nothing, [](Bytes& b) { b[kBody + evidence::td_offset::kMrTd] ^= 1; }},
      {"flipped-signature", Nothing, [](Bytes& b) { b[kSigned + 10] ^= 1; }},
      {"zero-signature", Nothing, [](Bytes& b) { std::fill_n(b.begin() + kSigned + 4, 64, uint8_t{0}); }},
      {"flipped-attestation-key", Nothing, [](Bytes& b) { b[kSigned + 70] ^= 1; }},
      {"flipped-qe-report", Nothing, [](Bytes& b) { b[kSigned + 140] ^= 1; }},
      {"truncated", Nothing, [](Bytes& b) { b.resize(b.size() - 100); }},
  };
  return cases;
}

std::string OurWord(const emulator::PcsDocuments& pcs, const Bytes& quote, TimePoint now) {
  const emulator::TdxIdentity& identity = pcs.identity();
  verify::TdxOptions options;
  options.report_data = kReportData;
  options.mr_td = kMeasurement;
  options.mr_config_id = Concat({kHostData, Bytes(16)});
  options.mr_seam = identity.mr_seam;
  verify::Anchors anchors;
  anchors.intel_roots = {identity.root.certificate};
  anchors.insecure_accept_emulated = true;
  evidence::Collateral collateral;
  collateral.tcb_infos = {{pcs.TcbInfo(), identity.TcbIssuerChain()}};
  collateral.qe_identities = {{pcs.QeIdentity(), identity.TcbIssuerChain()}};
  collateral.crls = {pcs.RootCrl(), pcs.PckCrl()};
  const evidence::TdxEvidence evidence{quote, std::nullopt};
  return foreign::OurWord(VerifyTdx(evidence::Unverified(evidence), collateral, anchors, options, now));
}

Status Make(const std::string& dir) {
  const SystemClock clock;
  const TimePoint now = clock.Now();
  ASSIGN_OR_RETURN(const emulator::TdxIdentity identity, emulator::LoadOrMakeTdxIdentity(dir + "/chip", now));
  const emulator::PcsDocuments pcs(identity, emulator::TdxFault::kNone, clock);
  crypto::SystemRandom random;
  RETURN_IF_ERROR(WriteFileAtomic(dir + "/root.pem", identity.root.certificate.Pem()));
  Json out = Json::array();
  for (const Case& one : Cases()) {
    const emulator::TdxPlatform platform(identity, one.version);
    ASSIGN_OR_RETURN(const emulator::TsmBlobs healthy,
                     platform.Launched({kMeasurement, kHostData}, random)->Report(kReportData, 0));
    ASSIGN_OR_RETURN(TdxQuote quote, evidence::ParseTdxQuote(healthy.report));
    evidence::QeReport qe = identity.qe;
    one.change(quote, qe);
    Bytes bytes = evidence::SignTdxQuote(quote, identity.attestation_key, qe, identity.pck.key);
    if (one.damage) one.damage(bytes);
    RETURN_IF_ERROR(WriteFileAtomic(dir + "/" + one.name + ".dat", ToText(bytes)));
    out.push_back({{"name", one.name}, {"ours", OurWord(pcs, bytes, now)}});
  }
  const Json facts = {{"report_data", HexEncode(kReportData)},
                      {"mr_td", HexEncode(kMeasurement)},
                      {"mr_config_id", HexEncode(Concat({kHostData, Bytes(16)}))},
                      {"mr_seam", HexEncode(identity.mr_seam)},
                      {"cases", out}};
  return WriteFileAtomic(dir + "/cases.json", facts.dump(1));
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) { return ccgpu::foreign::MakerMain("foreign-tdx-evidence", argc, argv, ccgpu::Make); }
