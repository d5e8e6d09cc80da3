#include "trust/verify/claims_map.h"

#include <algorithm>

#include "base/json.h"

namespace ccgpu::verify {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr ClaimName kSnp[] = {
    {"snp.measurement", "snp.measurement", "x-ms-sevsnpvm-launchmeasurement"},
    {"snp.report_data", "snp.report_data", "x-ms-sevsnpvm-reportdata"},
    {"snp.init_data", "snp.init_data", "x-ms-sevsnpvm-hostdata"},
    {"snp.policy_abi_major", "snp.policy_abi_major", ""},
    {"snp.policy_abi_minor", "snp.policy_abi_minor", ""},
    {"snp.policy_smt_allowed", "snp.policy_smt_allowed", "x-ms-sevsnpvm-smt-allowed"},
    {"snp.policy_migrate_ma", "snp.policy_migrate_ma", "x-ms-sevsnpvm-migration-allowed"},
    {"snp.policy_debug_allowed", "snp.policy_debug_allowed", "x-ms-sevsnpvm-is-debuggable"},
    {"snp.policy_single_socket", "snp.policy_single_socket", ""},
    {"snp.reported_tcb_bootloader", "snp.reported_tcb_bootloader", "x-ms-sevsnpvm-bootloader-svn"},
    {"snp.reported_tcb_tee", "snp.reported_tcb_tee", "x-ms-sevsnpvm-tee-svn"},
    {"snp.reported_tcb_snp", "snp.reported_tcb_snp", "x-ms-sevsnpvm-snpfw-svn"},
    {"snp.reported_tcb_microcode", "snp.reported_tcb_microcode", "x-ms-sevsnpvm-microcode-svn"},
    {"snp.platform_smt_enabled", "snp.platform_smt_enabled", ""},
    {"snp.platform_tsme_enabled", "snp.platform_tsme_enabled", ""},
    {"snp.chip_id", "snp.chip_id", ""},
    {"snp.vmpl", "", "x-ms-sevsnpvm-vmpl"},
    {"snp.guest_svn", "", "x-ms-sevsnpvm-guestsvn"},
};

constexpr ClaimName kTdx[] = {
    {"tdx.mr_td", "tdx.quote.body.mr_td", "tdx_mrtd"},
    {"tdx.rtmr_0", "tdx.quote.body.rtmr_0", "tdx_rtmr0"},
    {"tdx.rtmr_1", "tdx.quote.body.rtmr_1", "tdx_rtmr1"},
    {"tdx.rtmr_2", "tdx.quote.body.rtmr_2", "tdx_rtmr2"},
    {"tdx.rtmr_3", "tdx.quote.body.rtmr_3", "tdx_rtmr3"},
    {"tdx.report_data", "tdx.quote.body.report_data", "tdx_report_data"},
    {"tdx.mr_config_id", "tdx.quote.body.mr_config_id", "tdx_mrconfigid"},
    {"tdx.mr_owner", "tdx.quote.body.mr_owner", "tdx_mrowner"},
    {"tdx.mr_owner_config", "tdx.quote.body.mr_owner_config", "tdx_mrownerconfig"},
    {"tdx.mr_seam", "tdx.quote.body.mr_seam", "tdx_mrseam"},
    {"tdx.mrsigner_seam", "tdx.quote.body.mrsigner_seam", "tdx_mrsignerseam"},
    {"tdx.seam_attributes", "tdx.quote.body.seam_attributes", "tdx_seam_attributes"},
    {"tdx.tcb_svn", "tdx.quote.body.tcb_svn", "tdx_tee_tcb_svn"},
    {"tdx.xfam", "tdx.quote.body.xfam", "tdx_xfam"},
    {"tdx.td_attributes.debug", "tdx.td_attributes.debug", "tdx_td_attributes_debug"},
    {"tdx.td_attributes.septve_disable", "tdx.td_attributes.septve_disable", "tdx_td_attributes_septve_disable"},
    {"tdx.td_attributes.protection_keys", "tdx.td_attributes.protection_keys", "tdx_td_attributes_protection_keys"},
    {"tdx.td_attributes.perfmon", "tdx.td_attributes.perfmon", "tdx_td_attributes_perfmon"},
    {"tdx.tcb_status", "tdx.tcb_status", "attester_tcb_status"},
    {"tdx.advisory_ids", "tdx.advisory_ids", ""},
    {"tdx.fmspc", "", ""},
};

// The CPU side's claims as {"snp":{..}} or {"tdx":{..}}, of a pod's verdict and of one about the CPU alone.
OrderedJson CpuOf(const OrderedJson& claims) {
  for (const char* tee : {"snp", "tdx"}) {
    if (claims.contains(tee) && claims[tee].is_object()) return {{tee, claims[tee]}};
  }
  if (claims.contains("policy_abi_major")) return {{"snp", claims}};
  if (claims.contains("mr_td")) return {{"tdx", claims}};
  return OrderedJson::object();
}

// The devices' claims with the names of their parts.
std::vector<std::pair<std::string, OrderedJson>> DevicesOf(const OrderedJson& claims) {
  std::vector<std::pair<std::string, OrderedJson>> out;
  for (const auto& [list, part] : {std::pair("gpus", "gpu"), {"switches", "switch"}}) {
    if (!claims.contains(list) || !claims[list].is_array()) continue;
    for (size_t i = 0; i < claims[list].size(); ++i) out.emplace_back(part + std::to_string(i), claims[list][i]);
  }
  if (const auto type = claims.find("x-nvidia-device-type"); type != claims.end())
    out.emplace_back(*type == "nvswitch" ? "switch0" : "gpu0", claims);
  return out;
}

const OrderedJson* At(const OrderedJson& object, std::string_view path) {
  const OrderedJson* at = &object;
  while (!path.empty()) {
    const size_t dot = path.find('.');
    const std::string name(path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (!at->is_object() || !at->contains(name)) return nullptr;
    at = &(*at)[name];
  }
  return at;
}

void Put(OrderedJson& object, std::string_view path, OrderedJson value) {
  OrderedJson* at = &object;
  for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    at = &(*at)[std::string(path.substr(0, dot))];
    path = path.substr(dot + 1);
  }
  (*at)[std::string(path)] = std::move(value);
}

OrderedJson Renamed(const OrderedJson& cpu, std::string_view ClaimName::*to) {
  OrderedJson out = OrderedJson::object();
  for (const auto names : {SnpClaimNames(), TdxClaimNames()}) {
    for (const ClaimName& name : names) {
      const OrderedJson* value = (name.*to).empty() ? nullptr : At(cpu, name.ours);
      if (value) Put(out, name.*to, *value);
    }
  }
  return out;
}

std::string Text(const OrderedJson& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

OrderedJson Parsed(const Verdict& verdict) {
  OrderedJson out = OrderedJson::parse(verdict.claims_json, nullptr, false);
  return out.is_object() ? out : OrderedJson::object();
}

bool Passed(const Verdict& verdict, std::string_view name) {
  return std::any_of(verdict.checks.begin(), verdict.checks.end(),
                     [&](const Check& c) { return c.name == name && c.outcome == Check::Outcome::kPassed; });
}

bool MeasurementCompared(const Verdict& verdict) {
  return Passed(verdict, "snp.measurement") || Passed(verdict, "snp.references") || Passed(verdict, "tdx.mrtd") ||
         Passed(verdict, "tdx.references");
}

int Rank(std::string_view word) { return word == "no" ? 2 : word == "yes" ? 0 : 1; }
void Worsen(std::string& to, std::string_view word) {
  if (Rank(word) > Rank(to)) to = Rank(word) == 2 ? "no" : "unproven";
}

// The CPU encrypts and protects memory unless debugging is allowed; what runs is proven only where its measurement was
// compared with an expected one.
Protection CpuProtection(const Verdict& verdict, const OrderedJson& cpu) {
  Protection out;
  const OrderedJson* snp_debug = At(cpu, "snp.policy_debug_allowed");
  const OrderedJson* debug = snp_debug ? snp_debug : At(cpu, "tdx.td_attributes.debug");
  if (debug && debug->is_boolean() && debug->get<bool>()) return {"no", "no", "no"};
  if (!verdict.accepted) return out;
  out.data_confidentiality = out.data_integrity = "yes";
  if (MeasurementCompared(verdict)) out.code_integrity = "yes";
  return out;
}

std::string WordOf(const OrderedJson& device, const char* name) {
  const auto it = device.find(name);
  return it != device.end() && it->is_string() ? it->get<std::string>() : "unproven";
}

bool Speaks(const std::string& code, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return code.find(word) != std::string::npos; });
}

}  // namespace

std::span<const ClaimName> SnpClaimNames() { return kSnp; }
std::span<const ClaimName> TdxClaimNames() { return kTdx; }

Protection ProtectionOf(const Verdict& verdict) {
  const OrderedJson claims = Parsed(verdict), cpu = CpuOf(claims);
  const auto devices = DevicesOf(claims);
  if (cpu.empty() && devices.empty()) return {};
  Protection out{"yes", "yes", "yes"};
  if (!cpu.empty()) {
    const Protection part = CpuProtection(verdict, cpu);
    Worsen(out.data_confidentiality, part.data_confidentiality);
    Worsen(out.data_integrity, part.data_integrity);
    Worsen(out.code_integrity, part.code_integrity);
  }
  for (const auto& [name, device] : devices) {
    Worsen(out.data_confidentiality, WordOf(device, "data_confidentiality"));
    Worsen(out.data_integrity, WordOf(device, "data_integrity"));
    Worsen(out.code_integrity, WordOf(device, "code_integrity"));
  }
  // A part may be fine while the set is not: nothing is proven by evidence that was refused.
  for (std::string* word : {&out.data_confidentiality, &out.data_integrity, &out.code_integrity}) {
    if (!verdict.accepted) Worsen(*word, "unproven");
  }
  return out;
}

std::string MaaClaims(const Verdict& verdict) {
  const OrderedJson cpu = CpuOf(Parsed(verdict));
  OrderedJson out = OrderedJson::object();
  if (cpu.empty()) return "{}";
  out["x-ms-attestation-type"] = cpu.contains("snp") ? "sevsnpvm" : "tdxvm";
  out.update(Renamed(cpu, &ClaimName::maa));
  if (const OrderedJson* debug = At(cpu, "tdx.td_attributes.debug"); debug && debug->is_boolean())
    out["dbgstat"] = debug->get<bool>() ? "enabled" : "disabled";
  out["ccgpu.environment"] = verdict.environment;
  return Text(out);
}

std::vector<std::pair<std::string, std::string>> CocoClaims(const Verdict& verdict) {
  const OrderedJson claims = Parsed(verdict), cpu = CpuOf(claims);
  std::vector<std::pair<std::string, std::string>> out;
  if (!cpu.empty()) {
    OrderedJson part = Renamed(cpu, &ClaimName::coco);
    for (const char* name : {"report_data", "init_data"}) {
      if (const OrderedJson* value = At(cpu, (cpu.contains("snp") ? "snp." : "tdx.") + std::string(name)))
        part[name] = *value;
    }
    out.emplace_back("cpu0", Text(part));
  }
  for (const auto& [name, device] : DevicesOf(claims)) out.emplace_back(name, Text({{"nvidia", device}}));
  return out;
}

kbs::TrustVector TrustVectorOf(const Verdict& verdict, const std::string& part) {
  const bool cpu = part.starts_with("cpu");
  // AR4SI 2.3: 2 affirming, 3 approved at boot; 33 not judged; 96 and more against.
  kbs::TrustVector out = {{"hardware", verdict.environment == "hardware" ? 2 : 97},
                          {"configuration", 2},
                          {"executables", cpu && !MeasurementCompared(verdict) ? 33 : 3},
                          {"instance-identity", cpu ? 0 : 2}};
  if (verdict.accepted) return out;
  // A refused set affirms nothing; each part carries what its own checks found, or that of the set.
  const Check* failure = nullptr;
  for (const Check& check : verdict.checks) {
    const bool own =
        cpu ? check.name.starts_with("snp.") || check.name.starts_with("tdx.") : check.name.starts_with(part + ".");
    if (check.outcome == Check::Outcome::kFailed && own) {
      failure = &check;
      break;
    }
  }
  if (!failure) failure = verdict.FirstFailure();
  const std::string code = failure ? failure->reason.code : "";
  for (auto& [name, value] : out) value = value == 97 ? 97 : 0;
  if (Speaks(code, {"measurement", "fwid", "version", "rim.", "tcb"})) out["executables"] = 96;
  else if (Speaks(code, {"debug", "mode", "policy", "attributes"})) out["configuration"] = 96;
  else if (Speaks(code, {"nonce", "report-data", "host-data", "init-data"})) out["instance-identity"] = 97;
  else out["hardware"] = 97;
  return out;
}

}  // namespace ccgpu::verify
