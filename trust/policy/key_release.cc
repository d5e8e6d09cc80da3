#include "trust/policy/key_release.h"

#include <algorithm>
#include <set>

#include "base/yaml.h"
#include "trust/policy/paths.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::policy {
namespace {

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

// Digests as people write them: with or without "sha256:", either case.
std::vector<std::string> Digests(YamlMap& map, const std::string& key, size_t digits, const std::string& hint) {
  std::vector<std::string> out;
  for (std::string text : map.Strings(key)) {
    if (text.starts_with("sha256:") || text.starts_with("sha384:")) text.erase(0, 7);
    text = Lower(text);
    if (!IsHex(text, digits))
      map.Fail("input.bad-value", key, "each entry must be " + std::to_string(digits) + " hex digits" + hint);
    out.push_back(std::move(text));
  }
  if (map.Has(key) && out.empty())
    map.Fail("input.bad-value", key, "an empty list would fit nothing; leave the field out to ask for nothing");
  return out;
}

std::vector<std::string> Words(YamlMap& map, const std::string& key, const std::vector<std::string>& known) {
  std::vector<std::string> out = map.Strings(key);
  if (map.Has(key) && out.empty())
    map.Fail("input.bad-value", key, "an empty list would fit nothing; leave the field out to ask for nothing");
  for (const std::string& word : out) {
    if (known.empty() || std::find(known.begin(), known.end(), word) != known.end()) continue;
    std::string list;
    for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
    map.Fail("input.bad-value", key, "\"" + word + "\" is not one of " + list);
  }
  return out;
}

bool IsVersion(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos && text.front() != '.' &&
         text.back() != '.' && text.find("..") == std::string_view::npos;
}

void ParseSandbox(YamlMap map, KeyReleasePolicy::Sandbox& sandbox) {
  sandbox.tee = map.OneOf("tee", {"snp", "tdx", "tpm"}, false, "snp");
  sandbox.host_data = Digests(map, "hostData", 64, ", as `ccgpu policy digest` prints it");
  sandbox.any_pod = map.Bool("anyPod");
  sandbox.measurements = Digests(map, "measurements", 96, " (SHA-384 launch digest)");
  sandbox.allow_debug = map.Bool("allowDebug");
  YamlMap tcb = map.Map("minTcb");
  for (const char* part : {"bootloader", "tee", "snp", "microcode", "fmc"}) {
    const int64_t value = tcb.Int(part);
    if (!tcb.Has(part)) continue;
    if (value < 0 || value > 255) tcb.Fail("input.bad-value", part, "must be between 0 and 255");
    sandbox.min_tcb[part] = static_cast<uint32_t>(value);
  }
  tcb.Done();
  YamlMap rtmrs = map.Map("rtmrs");
  for (uint32_t i = 0; i < 4; ++i) {
    const std::string key = std::to_string(i);
    auto values = Digests(rtmrs, key, 96, " (SHA-384)");
    if (rtmrs.Has(key)) sandbox.rtmrs[i] = std::move(values);
  }
  rtmrs.Done();
  YamlMap pcrs = map.Map("pcrs");
  for (uint32_t i = 0; i < 24; ++i) {
    const std::string key = std::to_string(i);
    auto values = Digests(pcrs, key, 64, " (SHA-256)");
    if (pcrs.Has(key)) sandbox.pcrs[i] = std::move(values);
  }
  pcrs.Done();
  sandbox.tcb_statuses = Words(map, "tcbStatus",
                               {"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
                                "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"});
  // A field that the TEE does not have would never be checked: whoever wrote it must hear that.
  if (sandbox.tee != "snp" && !sandbox.min_tcb.empty()) map.Fail("input.bad-value", "minTcb", "is for tee: snp only");
  if (sandbox.tee != "tpm" && !sandbox.pcrs.empty()) map.Fail("input.bad-value", "pcrs", "is for tee: tpm only");
  if (sandbox.tee == "tpm" && !sandbox.measurements.empty())
    map.Fail("input.bad-value", "measurements", "a TPM has registers: say pcrs, the guest's image is in PCR 4");
  if (sandbox.tee != "tdx" && !sandbox.rtmrs.empty()) map.Fail("input.bad-value", "rtmrs", "is for tee: tdx only");
  if (sandbox.tee != "tdx" && !sandbox.tcb_statuses.empty())
    map.Fail("input.bad-value", "tcbStatus", "is for tee: tdx only");
  if (sandbox.any_pod == !sandbox.host_data.empty()) {
    map.Fail("input.bad-value", sandbox.any_pod ? "anyPod" : "hostData",
             sandbox.any_pod ? "and hostData exclude each other"
                             : "must list the digests of the pods that may have the resource (`ccgpu policy digest "
                               "POD.yaml`), or say anyPod: true");
  }
  map.Done();
}

void ParseGpus(YamlMap map, KeyReleasePolicy::Gpus& gpus) {
  gpus.required = true;
  const int64_t min = map.Int("min", false, 1), max = map.Int("max", false, 16);
  if (min < 0 || max > 64 || max < min) map.Fail("input.bad-value", "min", "must be 0 <= min <= max <= 64");
  gpus.min = static_cast<uint32_t>(std::max<int64_t>(min, 0));
  gpus.max = static_cast<uint32_t>(std::max<int64_t>(max, 0));
  gpus.modes = Words(map, "modes", {"hopper-cc", "apm", "devtools"});
  gpus.models = Words(map, "models", {});
  YamlMap driver = map.Map("driverVersions");
  gpus.min_driver_version = driver.String("min");
  if (!gpus.min_driver_version.empty() && !IsVersion(gpus.min_driver_version))
    driver.Fail("input.bad-value", "min", "must be numbers with dots (535.86.09)");
  driver.Done();
  gpus.vbios_versions = Words(map, "vbiosVersions", {});
  gpus.protected_pcie = map.Bool("protectedPcie");
  map.Done();
}

}  // namespace

Result<KeyReleasePolicy> ParseKeyReleasePolicy(const std::string& yaml, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("KeyReleasePolicy", yaml, file));
  KeyReleasePolicy policy;
  YamlMap metadata = document->Map("metadata");
  policy.name = metadata.String("name");
  metadata.Done();
  YamlMap spec = document->Map("spec", true);
  policy.resources = spec.Strings("resources");
  if (spec.Has("environment")) policy.environments = Words(spec, "environment", {"hardware", "emulated"});
  else spec.Strings("environment");
  ParseSandbox(spec.Map("sandbox", true), policy.sandbox);
  if (spec.Has("gpus")) ParseGpus(spec.Map("gpus"), policy.gpus);
  else spec.Map("gpus");
  spec.Done();
  RETURN_IF_ERROR(document.Done());
  return policy;
}

bool AppliesTo(const KeyReleasePolicy& policy, const std::string& resource) {
  return policy.resources.empty() ||
         std::any_of(policy.resources.begin(), policy.resources.end(),
                     [&](const std::string& pattern) { return GlobMatch(pattern, resource); });
}

}  // namespace ccgpu::policy
