// What a device's evidence says, as claims: NVIDIA's claims 3.0 and ours (docs/formats/claims.md).
#include <algorithm>

#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/verify/gpu/context.h"
#include "trust/verify/gpu/rims.h"

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

OrderedJson OrNull(const std::string& text) { return text.empty() ? OrderedJson(nullptr) : OrderedJson(text); }

std::string Upper(std::string out) {
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

OrderedJson PdiList(const std::optional<std::vector<Bytes>>& pdis) {
  if (!pdis) return nullptr;
  OrderedJson out = OrderedJson::array();
  for (const Bytes& pdi : *pdis) out.push_back(Upper(HexEncode(pdi)));
  return out;
}

// NVIDIA's words for one chain. Its "ocsp" is any revocation statement here; there is no nonce in collateral.
OrderedJson ChainClaims(const std::vector<crypto::Certificate>& chain, bool valid, const std::string& code,
                        const ChainStanding& standing) {
  OrderedJson out;
  TimePoint end = TimePoint::max();
  for (const auto& certificate : chain) end = std::min(end, certificate.NotAfter());
  out["x-nvidia-cert-expiration-date"] = chain.empty() ? OrderedJson(nullptr) : OrderedJson(FormatTime(end));
  const bool revoked = code.ends_with(".revoked"), expired = code.ends_with(".chain-expired");
  out["x-nvidia-cert-status"] = valid ? "valid" : revoked ? "revoked" : expired ? "expired" : "invalid";
  out["x-nvidia-cert-ocsp-status"] = standing.said;
  out["x-nvidia-cert-ocsp-nonce-matches"] = nullptr;
  out["x-nvidia-cert-ocsp-response-valid"] = standing.fresh;
  out["x-nvidia-cert-revocation-reason"] = OrNull(standing.reason);
  return out;
}

void AddRimClaims(OrderedJson& out, const RimState& state, const std::string& claim, const std::string& check,
                  const std::vector<Check>& checks) {
  const bool chain = Passed(checks, check + "root") && Passed(checks, check + "chain");
  out[claim + "fetched"] = !state.id.empty() && CodeOf(checks, check + "found") != "rim.not-found";
  out[claim + "schema-validated"] = state.rim != nullptr;
  out[claim + "cert-chain"] = ChainClaims(state.chain, chain, CodeOf(checks, check + "chain"), state.standing);
  out[claim + "signature-verified"] = Passed(checks, check + "signature");
  out[claim + "version-match"] = Passed(checks, check + "version");
  out[claim + "measurements-available"] = state.rim != nullptr;
}

OrderedJson MismatchClaims(const std::vector<Mismatch>& mismatches) {
  OrderedJson out = nullptr;
  for (const Mismatch& m : mismatches) {
    OrderedJson record = {{"index", m.index},
                          {"component", m.component},
                          {"measurementSource", m.source},
                          {"rim", m.rim_id},
                          {"goldenSize", m.golden.size()},
                          {"goldenValue", HexEncode(m.golden)},
                          {"runtimeSize", m.runtime.size()},
                          {"runtimeValue", HexEncode(m.runtime)}};
    out.push_back(std::move(record));
  }
  return out;
}

OrderedJson NearestClaims(const GpuContext& c) {
  OrderedJson out = nullptr;
  const bool is_switch = c.kind == DeviceKind::kSwitch;
  for (const auto& [word, state] : {std::pair(RimWord(RimRole::kDriver), &c.driver),
                                    std::pair(RimWord(is_switch ? RimRole::kSwitchBios : RimRole::kVbios), &c.vbios)}) {
    if (state->nearest) {
      out[word] = {
          {"id", state->nearest->id}, {"matching", state->nearest->matching}, {"active", state->nearest->active}};
    }
  }
  return out;
}

// The three questions a policy asks. "yes" only where the evidence shows it; "unproven" where it leaves it open.
struct Protection {
  const char* data_confidentiality = "unproven";
  const char* data_integrity = "unproven";
  const char* code_integrity = "unproven";
  std::vector<std::string> notes;
};

Protection ProtectionOf(const GpuContext& c) {
  Protection out;
  if (!c.report || c.chain.empty()) {
    out.notes.push_back("there is no report of a device that could be judged");
    return out;
  }
  const std::string mode = ModeOf(c), links = c.report->opaque.ProtectionMode();
  if (!c.mismatches.empty()) out.code_integrity = "no";
  if (c.good) out.code_integrity = "yes";
  if (mode == "off" || mode == "devtools") {
    out.data_confidentiality = out.data_integrity = "no";
    if (mode == "devtools") out.code_integrity = "no";
    out.notes.push_back("the device is in mode " + mode + ": the host can read and change what is in it");
  } else if (!c.good) {
    out.notes.push_back("a check failed: what the device would protect is open");
  } else if (c.kind == DeviceKind::kSwitch) {
    out.data_confidentiality = out.data_integrity = "no";
    out.notes.push_back("an NVSwitch passes NVLink traffic on in plain text: who trusts the set trusts the switch");
  } else if (mode == "hopper-cc") {
    out.data_confidentiality = out.data_integrity = "yes";
  } else if (mode == "apm") {
    out.data_confidentiality = "yes";
    out.data_integrity = "no";
    out.notes.push_back("mode apm encrypts what crosses the bus but does not protect it from being changed");
  } else {
    out.notes.push_back(
        "the report does not say whether the device is in development mode; only its driver does, inside the TEE");
  }
  if (c.good && links == "ppcie") out.notes.push_back("protected PCIe: NVLink between GPUs and switches is plain text");
  if (c.shared.environment == "emulated") out.notes.push_back("emulated: nothing is protected from the host");
  return out;
}

}  // namespace

std::string ModeOf(const GpuContext& c) {
  if (!c.report || c.kind != DeviceKind::kGpu || c.shared.environment != "emulated") return "";
  const auto it = c.report->measurements.find(evidence::kIndexCcMode);
  for (const char* mode : {"off", "devtools", "apm", "hopper-cc"}) {
    if (it != c.report->measurements.end() && it->second == evidence::CcModeMeasurement(mode)) return mode;
  }
  return "";
}

std::string ComponentName(const GpuContext& c, const evidence::RimMeasurement& golden) {
  if (c.kind == DeviceKind::kGpu && c.shared.environment == "emulated")
    return evidence::H100ComponentName(golden.index);
  return (golden.name.empty() ? "measurement" : golden.name) + " (index " + std::to_string(golden.index) + ")";
}

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
  const bool is_switch = c.kind == DeviceKind::kSwitch;
  const std::string x = is_switch ? "x-nvidia-switch-" : "x-nvidia-gpu-";
  const GpuFacts facts = FactsOf(c);
  OrderedJson out;
  out["environment"] = c.shared.environment;
  out["x-nvidia-device-type"] = is_switch ? "nvswitch" : "gpu";
  out[x + "claims-version"] = "3.0";
  out["measres"] = c.measurements_match ? "success" : "fail";
  out["secboot"] = c.measurements_match ? OrderedJson(true) : OrderedJson(nullptr);
  out["dbgstat"] = c.measurements_match && ModeOf(c) != "devtools" ? OrderedJson("disabled") : OrderedJson(nullptr);
  out["hwmodel"] = facts.hwmodel;
  out["ueid"] = facts.ueid;
  const evidence::Rim* maker = is_switch ? c.vbios.rim : c.driver.rim;
  if (maker) out["oemid"] = maker->manufacturer_id;
  out["eat_nonce"] = c.report ? HexEncode(c.report->nonce) : "";
  out["uuid"] = facts.uuid;
  out["pdi"] = facts.pdi;
  if (const std::string mode = ModeOf(c); !mode.empty()) out["mode"] = mode;
  const std::string links = c.report ? c.report->opaque.ProtectionMode() : "";
  if (!is_switch) out[x + "mode"] = OrNull(links);
  out[x + "arch-check"] = Passed(checks, prefix + "chain.profile");
  if (is_switch) {
    out[x + "bios-version"] = facts.vbios_version;
    out[x + "pdi"] = OrNull(Upper(facts.pdi));
    out[x + "gpu-pdis"] = PdiList(c.report ? c.report->opaque.PeerGpuPdis() : std::nullopt);
  } else {
    out[x + "driver-version"] = facts.driver_version;
    out[x + "vbios-version"] = facts.vbios_version;
    out[x + "switch-pdis"] = PdiList(c.report ? c.report->opaque.PeerSwitchPdis() : std::nullopt);
  }
  const bool chain = Passed(checks, prefix + "chain.links") && Passed(checks, prefix + "chain.validity") &&
                     Passed(checks, prefix + "chain.revocation");
  std::string code = CodeOf(checks, prefix + "chain.validity");
  if (code.empty()) code = CodeOf(checks, prefix + "chain.revocation");
  out[x + "attestation-report-cert-chain"] = ChainClaims(c.chain, chain, code, c.standing);
  out[x + "attestation-report-cert-chain-fwid-match"] =
      CodeOf(checks, prefix + "report.fwid").empty() && Passed(checks, prefix + "chain.profile");
  out[x + "attestation-report-parsed"] = Passed(checks, prefix + "report.parsed");
  out[x + "attestation-report-nonce-match"] = Passed(checks, prefix + "report.nonce");
  out[x + "attestation-report-signature-verified"] = Passed(checks, prefix + "report.signature");
  if (is_switch) {
    AddRimClaims(out, c.vbios, x + "bios-rim-", prefix + "bios-rim.", checks);
  } else {
    AddRimClaims(out, c.driver, x + "driver-rim-", prefix + "driver-rim.", checks);
    AddRimClaims(out, c.vbios, x + "vbios-rim-", prefix + "vbios-rim.", checks);
    out[x + "vbios-index-no-conflict"] = Passed(checks, prefix + "rims.disjoint");
  }
  out["x-nvidia-mismatch-measurement-records"] = MismatchClaims(c.mismatches);
  out["x-nvidia-attestation-warning"] = nullptr;
  if (OrderedJson nearest = NearestClaims(c); !nearest.is_null()) out["nearest-rims"] = std::move(nearest);
  // NVIDIA's overall result wants each chain's revocation answered with "good", whatever our options require.
  const auto good = [](const ChainStanding& s) { return s.said == "good" && s.fresh; };
  out["x-nvidia-overall-att-result"] =
      c.good && good(c.standing) && good(c.vbios.standing) && (is_switch || good(c.driver.standing));
  Protection protection = ProtectionOf(c);
  out["data_confidentiality"] = protection.data_confidentiality;
  out["data_integrity"] = protection.data_integrity;
  out["code_integrity"] = protection.code_integrity;
  out["protection_notes"] = std::move(protection.notes);
  return out;
}

}  // namespace ccgpu::verify
