// Decide: a list of checks over claims. Every check writes a line, also those that pass: the broker's ledger keeps
// them.
#include <algorithm>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/policy/key_release.h"

namespace ccgpu::policy {
namespace {

std::string List(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : " or ") + text;
  return out;
}

// A text or number out of the claims; "(missing)" when it is not there or of another type, which fits nothing.
constexpr const char* kMissing = "(missing)";
std::string TextOf(const Json& claims, const char* key) {
  if (!claims.is_object() || !claims.contains(key) || !claims[key].is_string()) return kMissing;
  return claims[key].get<std::string>();
}

// Compares "550.90.07" with "535.86" number by number; a part that is not a number makes it smaller than everything.
bool AtLeast(const std::string& found, const std::string& floor) {
  size_t f = 0, m = 0;
  while (m < floor.size()) {
    auto number = [](const std::string& text, size_t& at) -> long {
      if (at >= text.size()) return 0;
      const size_t end = std::min(text.find('.', at), text.size());
      const std::string part = text.substr(at, end - at);
      at = end + 1;
      if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != std::string::npos) return -1;
      return std::stol(part);
    };
    const long have = number(found, f), want = number(floor, m);
    if (have != want) return have > want;
  }
  return true;
}

class Checks {
 public:
  explicit Checks(Decision& decision) : decision_(decision) {}
  void Add(std::string check, bool passed, std::string expected, std::string found) {
    decision_.reasons.push_back({std::move(check), passed, std::move(expected), std::move(found)});
  }
  void OneOf(const std::string& check, const std::vector<std::string>& allowed, const std::string& found) {
    Add(check, std::find(allowed.begin(), allowed.end(), found) != allowed.end(), List(allowed), found);
  }

 private:
  Decision& decision_;
};

// How a TEE's claims call what every policy asks for (docs/formats/claims.md).
struct TeeNames {
  const char *tee, *measurement;
  const char* debug;                                    // nullptr: the TEE knows no debug mode
  std::string (*init_data)(const std::string& digest);  // how the field holds the initdata's digest
};

template <size_t kDigits>
std::string Filled(const std::string& digest) {
  return digest + std::string(kDigits - std::min(kDigits, digest.size()), '0');
}

// What PCR 8 holds after the digest was extended into it.
std::string Extended(const std::string& digest) {
  auto bytes = HexDecode(digest);
  return bytes.ok() ? HexEncode(crypto::Sha256(Concat({Bytes(32), *bytes}))) : "";
}

constexpr TeeNames kTees[] = {
    {"snp", "/measurement", "/policy_debug_allowed", Filled<64>},
    {"tdx", "/mr_td", "/td_attributes/debug", Filled<96>},
    {"tpm", "/pcr04", nullptr, Extended},
};

Json At(const Json& claims, const char* pointer) {
  const Json::json_pointer at(pointer);
  return claims.is_object() && claims.contains(at) ? claims.at(at) : Json();
}

void CheckSandbox(const KeyReleasePolicy::Sandbox& policy, const Json& claims, Checks& checks) {
  const auto* names =
      std::find_if(std::begin(kTees), std::end(kTees), [&](const TeeNames& t) { return policy.tee == t.tee; });
  const bool known_tee = names != std::end(kTees);
  const Json cpu = known_tee && claims.contains(policy.tee) ? claims[policy.tee] : Json();
  checks.Add("sandbox.tee", cpu.is_object(), "evidence of " + policy.tee, cpu.is_object() ? policy.tee : kMissing);
  if (!known_tee) return;
  std::vector<std::string> host_data = policy.host_data;
  for (std::string& digest : host_data) digest = names->init_data(digest);
  if (policy.any_pod) checks.Add("sandbox.anyPod", true, "any", TextOf(cpu, "init_data"));
  else checks.OneOf("sandbox.hostData", host_data, TextOf(cpu, "init_data"));
  if (!policy.measurements.empty())
    checks.OneOf("sandbox.measurements", policy.measurements, TextOf(cpu, names->measurement + 1));
  if (names->debug != nullptr) {
    const Json flag = At(cpu, names->debug);
    const bool known = flag.is_boolean();
    const bool debug = !known || flag.get<bool>();
    checks.Add("sandbox.allowDebug", policy.allow_debug || !debug, policy.allow_debug ? "any" : "debug off",
               known ? (debug ? "debug on" : "debug off") : kMissing);
  }
  for (const auto& [part, floor] : policy.min_tcb) {
    const Json value = At(cpu, ("/reported_tcb_" + part).c_str());
    const bool there = value.is_number_unsigned();
    const uint64_t found = there ? value.get<uint64_t>() : 0;
    checks.Add("sandbox.minTcb." + part, there && found >= floor, "at least " + std::to_string(floor),
               there ? std::to_string(found) : kMissing);
  }
  for (const auto& [index, values] : policy.rtmrs) {
    const std::string number = std::to_string(index);
    checks.OneOf("sandbox.rtmrs." + number, values, TextOf(cpu, ("rtmr_" + number).c_str()));
  }
  for (const auto& [index, values] : policy.pcrs) {
    const std::string number = (index < 10 ? "0" : "") + std::to_string(index);
    checks.OneOf("sandbox.pcrs." + std::to_string(index), values, TextOf(cpu, ("pcr" + number).c_str()));
  }
  if (!policy.tcb_statuses.empty()) checks.OneOf("sandbox.tcbStatus", policy.tcb_statuses, TextOf(cpu, "tcb_status"));
}

// "" when no device is in protected PCIe. What no claim rules out counts as being in it.
std::string InProtectedPcie(const Json& claims, const Json& gpus) {
  for (size_t i = 0; i < gpus.size(); ++i) {
    const Json mode = gpus[i].is_object() ? gpus[i].value("x-nvidia-gpu-mode", Json()) : Json("(missing)");
    if (mode.is_null() || mode == "spt" || mode == "mpt") continue;
    return "gpus[" + std::to_string(i) + "] in " + (mode.is_string() ? mode.get<std::string>() : mode.dump());
  }
  const Json switches = claims.value("switches", Json());
  return switches.is_null() || switches == Json::array() ? "" : "NVSwitches";
}

void CheckGpus(const KeyReleasePolicy::Gpus& policy, const Json& claims, Checks& checks) {
  const Json gpus = claims.contains("gpus") && claims["gpus"].is_array() ? claims["gpus"] : Json::array();
  // Asked also by a policy that asks nothing else of GPUs: links in plain text are not let in by silence.
  const std::string plain = InProtectedPcie(claims, gpus);
  checks.Add("gpus.protectedPcie", policy.protected_pcie || plain.empty(),
             policy.protected_pcie ? "any" : "nothing in protected PCIe", plain.empty() ? "nothing" : plain);
  if (!policy.required) return;
  checks.Add("gpus.min", gpus.size() >= policy.min, "at least " + std::to_string(policy.min),
             std::to_string(gpus.size()));
  checks.Add("gpus.max", gpus.size() <= policy.max, "at most " + std::to_string(policy.max),
             std::to_string(gpus.size()));
  for (size_t i = 0; i < gpus.size(); ++i) {
    const std::string at = "gpus[" + std::to_string(i) + "].";
    if (!policy.modes.empty()) {
      checks.OneOf(at + "modes", policy.modes, TextOf(gpus[i], "mode"));
    } else {
      // Who names no mode wants the whole protection; real hardware says none, since nothing else has evidence there.
      const bool silent =
          gpus[i].is_object() && !gpus[i].contains("mode") && TextOf(claims, "environment") == "hardware";
      checks.Add(at + "modes", silent || TextOf(gpus[i], "mode") == "hopper-cc", "hopper-cc (others must be listed)",
                 TextOf(gpus[i], "mode"));
    }
    if (!policy.models.empty()) checks.OneOf(at + "models", policy.models, TextOf(gpus[i], "hwmodel"));
    if (!policy.min_driver_version.empty()) {
      const std::string found = TextOf(gpus[i], "x-nvidia-gpu-driver-version");
      checks.Add(at + "driverVersions.min", AtLeast(found, policy.min_driver_version),
                 "at least " + policy.min_driver_version, found);
    }
    if (!policy.vbios_versions.empty())
      checks.OneOf(at + "vbiosVersions", policy.vbios_versions, TextOf(gpus[i], "x-nvidia-gpu-vbios-version"));
  }
}

// Codes are literals: the set is closed.
Error Refusal(const std::string& check, std::string text) {
  if (check == "claims") return Err("release.claims", check, std::move(text));
  if (check == "environment") return Err("release.environment", check, std::move(text));
  if (check == "sandbox.hostData") return Err("release.host-data", check, std::move(text));
  if (check == "sandbox.measurements") return Err("release.measurement", check, std::move(text));
  if (check == "sandbox.allowDebug") return Err("release.debug", check, std::move(text));
  if (check.starts_with("sandbox.rtmrs.")) return Err("release.rtmr", check, std::move(text));
  if (check.starts_with("sandbox.pcrs.")) return Err("release.pcr", check, std::move(text));
  if (check == "sandbox.tcbStatus") return Err("release.tcb", check, std::move(text));
  if (check.starts_with("sandbox.minTcb")) return Err("release.tcb", check, std::move(text));
  if (check.starts_with("sandbox.")) return Err("release.tee", check, std::move(text));
  if (check == "gpus.min" || check == "gpus.max") return Err("release.gpu-count", check, std::move(text));
  if (check == "gpus.protectedPcie") return Err("release.protected-pcie", check, std::move(text));
  if (check.ends_with(".modes")) return Err("release.gpu-mode", check, std::move(text));
  if (check.ends_with(".models")) return Err("release.gpu-model", check, std::move(text));
  if (check.ends_with(".driverVersions.min")) return Err("release.driver-version", check, std::move(text));
  if (check.ends_with(".vbiosVersions")) return Err("release.vbios-version", check, std::move(text));
  return Err("release.refused", check, std::move(text));
}

}  // namespace

const Decision::Reason* Decision::FirstFailure() const {
  for (const Reason& reason : reasons) {
    if (!reason.passed) return &reason;
  }
  return nullptr;
}

Error Decision::ToError() const {
  const Reason* failed = FirstFailure();
  if (failed == nullptr) return Err("release.refused", "", "the decision holds no reason: nothing was checked");
  return Refusal(failed->check, "expected " + failed->expected + ", found " + failed->found);
}

std::string Decision::ToJson() const {
  return R"({"allow":)" + std::string(allow ? "true" : "false") + R"(,"reasons":)" + ReasonsJson() + "}";
}

std::string Decision::ReasonsJson() const {
  Json list = Json::array();
  for (const Reason& reason : reasons) {
    list.push_back({{"check", reason.check},
                    {"result", reason.passed ? "passed" : "failed"},
                    {"expected", reason.expected},
                    {"found", reason.found}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Decision Decide(const KeyReleasePolicy& policy, const std::string& claims_json) {
  Decision decision;
  Checks checks(decision);
  const auto claims = ParseJson(claims_json, "claims");
  const bool usable = claims.ok() && claims->is_object();
  checks.Add("claims", usable, "a claims object", usable ? "one" : "none");
  if (!usable) return decision;
  checks.OneOf("environment", policy.environments, TextOf(*claims, "environment"));
  CheckSandbox(policy.sandbox, *claims, checks);
  CheckGpus(policy.gpus, *claims, checks);
  decision.allow = decision.FirstFailure() == nullptr;
  return decision;
}

}  // namespace ccgpu::policy
