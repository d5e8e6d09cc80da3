#include <algorithm>

#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/verify/gpu_context.h"

namespace ccgpu::verify {
namespace {

using OrderedJson = nlohmann::ordered_json;

const Check* Find(const std::vector<Check>& checks, const std::string& name) {
  const auto it = std::find_if(checks.begin(), checks.end(), [&](const Check& c) { return c.name == name; });
  return it == checks.end() ? nullptr : &*it;
}

bool Passed(const std::vector<Check>& checks, const std::string& name) {
  const Check* check = Find(checks, name);
  return check && check->outcome == Check::Outcome::kPassed;
}

std::string CodeOf(const std::vector<Check>& checks, const std::string& name) {
  const Check* check = Find(checks, name);
  return check && check->outcome == Check::Outcome::kFailed ? check->reason.code : "";
}

// NVIDIA's words for one chain, out of the codes of the checks that judged it.
OrderedJson ChainClaims(const std::vector<crypto::Certificate>& chain, bool valid, const std::string& code,
                        bool revocation_asked) {
  OrderedJson out;
  TimePoint end = TimePoint::max();
  for (const auto& certificate : chain) end = std::min(end, certificate.NotAfter());
  out["x-nvidia-cert-expiration-date"] = chain.empty() ? OrderedJson(nullptr) : OrderedJson(FormatTime(end));
  const bool revoked = code.ends_with(".revoked"), expired = code.ends_with(".chain-expired");
  out["x-nvidia-cert-status"] = valid ? "valid" : revoked ? "revoked" : expired ? "expired" : "invalid";
  out["x-nvidia-cert-ocsp-status"] = valid && revocation_asked               ? "good"
                                     : revoked                               ? "revoked"
                                     : code.ends_with(".revocation-unknown") ? "unknown"
                                                                             : "undefined";
  out["x-nvidia-cert-revocation-reason"] = nullptr;
  return out;
}

void AddRimClaims(OrderedJson& out, const RimState& state, const std::string& kind, const std::vector<Check>& checks,
                  const std::string& prefix, bool revocation_asked) {
  const std::string claim = "x-nvidia-gpu-" + kind + "-rim-", check = prefix + kind + "-rim.";
  const bool chain = Passed(checks, check + "root") && Passed(checks, check + "chain");
  out[claim + "fetched"] = Passed(checks, check + "found");
  out[claim + "schema-validated"] = state.rim.has_value();
  out[claim + "cert-chain"] = ChainClaims(state.chain, chain, CodeOf(checks, check + "chain"), revocation_asked);
  out[claim + "signature-verified"] = Passed(checks, check + "signature");
  out[claim + "version-match"] = Passed(checks, check + "version");
  out[claim + "measurements-available"] = state.rim.has_value();
}

std::string ModeOf(const GpuContext& c) {
  if (!c.report || c.shared.environment != "emulated") return "";
  const auto it = c.report->measurements.find(evidence::kIndexCcMode);
  for (const char* mode : {"off", "devtools", "apm", "hopper-cc"}) {
    if (it != c.report->measurements.end() && it->second == evidence::CcModeMeasurement(mode)) return mode;
  }
  return "";
}

}  // namespace

GpuFacts FactsOf(const GpuContext& c) {
  GpuFacts out;
  out.uuid = c.evidence.uuid;
  if (c.report)
    out.driver_version = c.report->opaque.DriverVersion(), out.vbios_version = c.report->opaque.VbiosVersion();
  if (!c.chain.empty()) {
    out.ueid = evidence::Ueid(c.chain[0]);
    out.hwmodel = c.chain[1].SubjectCommonName();
    if (const auto pdi = evidence::DevicePdi(c.chain[1]); pdi.ok()) out.pdi = HexEncode(*pdi);
  }
  return out;
}

OrderedJson GpuClaims(const GpuContext& c, const std::vector<Check>& checks, const std::string& prefix) {
  OrderedJson out;
  const GpuFacts facts = FactsOf(c);
  const bool asked = c.options.require_revocation;
  out["environment"] = c.shared.environment;
  out["x-nvidia-device-type"] = "gpu";
  out["measres"] = c.measurements_match ? "success" : "fail";
  if (c.measurements_match) out["secboot"] = true, out["dbgstat"] = "disabled";
  out["hwmodel"] = facts.hwmodel;
  out["ueid"] = facts.ueid;
  if (c.driver.rim) out["oemid"] = c.driver.rim->manufacturer_id;
  out["eat_nonce"] = c.report ? HexEncode(c.report->nonce) : "";
  out["uuid"] = facts.uuid;
  out["pdi"] = facts.pdi;
  if (const std::string mode = ModeOf(c); !mode.empty()) out["mode"] = mode;
  out["x-nvidia-gpu-arch-check"] = Passed(checks, prefix + "chain.profile");
  out["x-nvidia-gpu-driver-version"] = facts.driver_version;
  out["x-nvidia-gpu-vbios-version"] = facts.vbios_version;
  const bool chain = Passed(checks, prefix + "chain.links") && Passed(checks, prefix + "chain.validity") &&
                     Passed(checks, prefix + "chain.revocation");
  std::string code = CodeOf(checks, prefix + "chain.validity");
  if (code.empty()) code = CodeOf(checks, prefix + "chain.revocation");
  out["x-nvidia-gpu-attestation-report-cert-chain"] = ChainClaims(c.chain, chain, code, asked);
  out["x-nvidia-gpu-attestation-report-cert-chain-fwid-match"] =
      CodeOf(checks, prefix + "report.fwid").empty() && Passed(checks, prefix + "chain.profile");
  out["x-nvidia-gpu-attestation-report-parsed"] = Passed(checks, prefix + "report.parsed");
  out["x-nvidia-gpu-attestation-report-nonce-match"] = Passed(checks, prefix + "report.nonce");
  out["x-nvidia-gpu-attestation-report-signature-verified"] = Passed(checks, prefix + "report.signature");
  AddRimClaims(out, c.driver, "driver", checks, prefix, asked);
  AddRimClaims(out, c.vbios, "vbios", checks, prefix, asked);
  out["x-nvidia-gpu-vbios-index-no-conflict"] = Passed(checks, prefix + "rims.disjoint");
  out["x-nvidia-mismatch-measurement-records"] = nullptr;
  for (const Mismatch& m : c.mismatches) {
    auto& records = out["x-nvidia-mismatch-measurement-records"];
    if (records.is_null()) records = OrderedJson::array();
    records.push_back({{"index", m.index},
                       {"component", evidence::H100ComponentName(m.index)},
                       {"measurementSource", m.source},
                       {"goldenValue", HexEncode(m.golden)},
                       {"runtimeValue", HexEncode(m.runtime)}});
  }
  return out;
}

bool RunGpuChecks(GpuContext& context, std::vector<Check>& checks) {
  const std::string prefix = context.name + ".";
  const bool report = RunChecks(GpuReportChecks(), context, prefix, checks);
  const bool rims = RunChecks(GpuRimChecks(), context, prefix, checks);
  return report && rims;
}

Verdict VerifyGpu(const evidence::Unverified<evidence::GpuEvidence>& gpu, const Collateral& collateral,
                  const Anchors& anchors, const GpuOptions& options, TimePoint now) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now);
  GpuContext context{gpu.unverified(), options, shared, "gpu0", {}, {}, {}, {}, {}, {}};
  verdict.accepted = RunGpuChecks(context, verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json =
      GpuClaims(context, verdict.checks, "gpu0.").dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) verdict.verified = Seal({verdict.claims_json, verdict.environment, {FactsOf(context)}, "", ""});
  return verdict;
}

}  // namespace ccgpu::verify
