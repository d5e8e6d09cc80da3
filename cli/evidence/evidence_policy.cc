#include "cli/evidence/evidence_policy.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "base/json.h"
#include "base/yaml.h"
#include "cli/evidence/format.h"

namespace ccgpu::cli {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

// A list that, when it is there, holds at least one entry: an empty one would fit nothing.
std::vector<std::string> Some(YamlMap& map, const std::string& key, const std::vector<std::string>& known = {}) {
  std::vector<std::string> out = map.Strings(key);
  if (map.Has(key) && out.empty())
    map.Fail("input.bad-value", key, "an empty list would fit nothing; leave the field out to ask for nothing");
  for (const std::string& word : out) {
    if (!known.empty() && std::find(known.begin(), known.end(), word) == known.end())
      map.Fail("input.bad-value", key, "\"" + word + "\" is not one of " + Joined(known));
  }
  return out;
}

std::vector<std::string> Hex(YamlMap& map, const std::string& key, size_t digits) {
  std::vector<std::string> out;
  for (std::string text : Some(map, key)) {
    if (text.starts_with("sha256:") || text.starts_with("sha384:")) text.erase(0, 7);
    text = Lower(text);
    if (text.size() != digits || !HexDecode(text).ok())
      map.Fail("input.bad-value", key, "each entry must be " + std::to_string(digits) + " hex digits");
    out.push_back(std::move(text));
  }
  return out;
}

// A number within bounds; `fallback` when absent.
int64_t Between(YamlMap& map, const std::string& key, int64_t least, int64_t most, int64_t fallback) {
  const int64_t value = map.Int(key, false, fallback);
  if (map.Has(key) && (value < least || value > most)) {
    map.Fail("input.bad-value", key, "must be between " + std::to_string(least) + " and " + std::to_string(most));
    return fallback;
  }
  return value;
}

std::string Version(YamlMap& map, const std::string& key) {
  const std::string text = map.String(key);
  if (map.Has(key) && (text.empty() || text.find_first_not_of("0123456789abcdefABCDEF.") != std::string::npos))
    map.Fail("input.bad-value", key, "must be numbers with dots (550.90.07, 96.00.9F.00.01)");
  return text;
}

void ReadGpus(YamlMap map, EvidencePolicy& out) {
  if (map.Has("min")) out.gpus.min = static_cast<size_t>(Between(map, "min", 0, 64, 0));
  else map.Int("min");
  if (map.Has("max")) out.gpus.max = static_cast<size_t>(Between(map, "max", 0, 64, 64));
  else map.Int("max");
  if (out.gpus.min && out.gpus.max && *out.gpus.min > *out.gpus.max)
    map.Fail("input.bad-value", "min", "is more than max");
  out.gpus.modes = Some(map, "modes", {"hopper-cc", "apm", "devtools", "off"});
  out.gpus.models = Some(map, "models");
  out.gpus.ueids = Some(map, "ueids");
  out.gpus.vbios_versions = Some(map, "vbiosVersions");
  out.gpus.protected_pcie = map.Bool("protectedPcie");
  out.gpu.driver_floor = Version(map, "driverFloor");
  out.gpu.switch_bios_floor = Version(map, "switchBiosFloor");
  out.gpu.vbios_floor = Version(map, "vbiosFloor");
  out.gpu.allow_devtools = map.Bool("allowDevtools");
  out.gpu.require_revocation = map.Bool("requireRevocation", out.gpu.require_revocation);
  out.gpu.allow_hold = map.Bool("allowHold");
  out.gpu.revocation_max_age =
      std::chrono::hours(Between(map, "revocationMaxAgeHours", 1, 24 * 3660,
                                 std::chrono::duration_cast<std::chrono::hours>(out.gpu.revocation_max_age).count()));
  out.gpu.max_report_padding = static_cast<size_t>(Between(map, "maxReportPadding", 0, 64, 0));
  map.Done();
}

void ReadSnp(YamlMap map, EvidencePolicy& out) {
  out.sandbox.measurements = Hex(map, "measurements", 96);
  out.sandbox.host_data = Hex(map, "hostData", 64);
  out.sandbox.chip_ids = Hex(map, "chipIds", 128);
  out.snp.products = Some(map, "products", {"Milan", "Genoa", "Turin"});
  out.snp.csp_ids = Some(map, "providers");
  out.snp.minimum_guest_svn = static_cast<uint32_t>(Between(map, "minGuestSvn", 0, 0xffffffff, 0));
  out.snp.allow_masked_chip_id = map.Bool("allowMaskedChipId", out.snp.allow_masked_chip_id);
  out.snp.vmpl = static_cast<uint32_t>(Between(map, "vmpl", 0, 3, 0));
  out.snp.allow_debug = map.Bool("allowDebug");
  out.snp.allow_migration_agent = map.Bool("allowMigrationAgent");
  out.snp.allow_smt = map.Bool("allowSmt", out.snp.allow_smt);
  out.snp.allow_vlek = map.Bool("allowVlek", out.snp.allow_vlek);
  out.snp.require_alias_check = map.Bool("requireAliasCheck");
  out.snp.require_committed_is_current = map.Bool("requireCommittedIsCurrent");
  out.snp.require_revocation = map.Bool("requireRevocation");
  out.snp.revocation_max_age =
      std::chrono::hours(Between(map, "revocationMaxAgeHours", 1, 24 * 3660,
                                 std::chrono::duration_cast<std::chrono::hours>(out.snp.revocation_max_age).count()));
  YamlMap tcb = map.Map("minTcb");
  if (map.Has("minTcb")) {
    evidence::TcbParts parts;
    parts.bootloader = static_cast<uint8_t>(Between(tcb, "bootloader", 0, 255, 0));
    parts.tee = static_cast<uint8_t>(Between(tcb, "tee", 0, 255, 0));
    parts.snp = static_cast<uint8_t>(Between(tcb, "snp", 0, 255, 0));
    parts.microcode = static_cast<uint8_t>(Between(tcb, "microcode", 0, 255, 0));
    if (tcb.Has("fmc")) parts.fmc = static_cast<uint8_t>(Between(tcb, "fmc", 0, 255, 0));
    else tcb.Int("fmc");
    out.snp.minimum_tcb = parts;
  }
  tcb.Done();
  YamlMap abi = map.Map("minAbi");
  out.snp.minimum_abi_major = static_cast<uint8_t>(Between(abi, "major", 0, 255, 0));
  out.snp.minimum_abi_minor = static_cast<uint8_t>(Between(abi, "minor", 0, 255, 0));
  abi.Done();
  map.Done();
}

void ReadTdx(YamlMap map, EvidencePolicy& out) {
  const auto one = [&](const std::string& key, std::optional<Bytes>& to, size_t size) {
    const std::string text = map.String(key);
    if (!map.Has(key)) return;
    auto bytes = HexDecode(text);
    if (bytes.ok() && bytes->size() == size) to = *bytes;
    else map.Fail("input.bad-value", key, "must be " + std::to_string(2 * size) + " hex digits");
  };
  one("mrtd", out.tdx.mr_td, 48);
  one("mrconfigid", out.tdx.mr_config_id, 48);
  one("mrseam", out.tdx.mr_seam, 48);
  for (size_t i = 0; i < 4; ++i) one("rtmr" + std::to_string(i), out.tdx.rtmrs[i], 48);
  one("minTeeTcbSvn", out.tdx.minimum_tee_tcb_svn, 16);
  one("platformInstance", out.tdx.platform_instance, 16);
  const std::vector<std::string> statuses =
      Some(map, "acceptedTcbStatuses",
           {"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate",
            "OutOfDateConfigurationNeeded"});
  if (!statuses.empty()) out.tdx.accepted_statuses.clear();
  for (const std::string& status : statuses) {
    if (const auto known = evidence::ParseTcbStatus(status)) out.tdx.accepted_statuses.insert(*known);
  }
  out.tdx.minimum_evaluation_number = static_cast<uint32_t>(Between(map, "minEvaluationNumber", 0, 0x7fffffff, 0));
  out.tdx.allow_debug = map.Bool("allowDebug");
  out.tdx.allow_perfmon = map.Bool("allowPerfmon");
  out.tdx.allow_service_td = map.Bool("allowServiceTd");
  out.tdx.require_sept_ve_disable = map.Bool("requireSeptVeDisable", out.tdx.require_sept_ve_disable);
  out.tdx.require_revocation = map.Bool("requireRevocation", out.tdx.require_revocation);
  map.Done();
}

void ReadTpm(YamlMap map, EvidencePolicy& out) {
  const std::string bank = map.OneOf("bank", {"sha1", "sha256", "sha384"}, false, "sha256");
  out.tpm.bank = bank == "sha1"     ? evidence::tpm_alg::kSha1
                 : bank == "sha384" ? evidence::tpm_alg::kSha384
                                    : evidence::tpm_alg::kSha256;
  const std::vector<std::string> pcrs = Some(map, "pcrs");
  if (!pcrs.empty()) out.tpm.pcrs.clear();
  for (const std::string& text : pcrs) {
    uint32_t index = 99;
    std::from_chars(text.data(), text.data() + text.size(), index);
    if (index > 23) map.Fail("input.bad-value", "pcrs", "each entry must be a register, 0 to 23");
    else out.tpm.pcrs.push_back(index);
  }
  for (const auto& [name, value] : map.StringMap("expected")) {
    uint32_t index = 99;
    std::from_chars(name.data(), name.data() + name.size(), index);
    auto digest = HexDecode(value);
    if (index > 23 || !digest.ok() || digest->empty())
      map.Fail("input.bad-value", "expected", "must map registers (0 to 23) to hex digests");
    else out.tpm.expected_pcrs[index] = *digest;
  }
  out.tpm.allow_sha1 = map.Bool("allowSha1");
  out.tpm.require_event_log = map.Bool("requireEventLog");
  out.tpm.require_secure_boot = map.Bool("requireSecureBoot");
  out.tpm.require_revocation = map.Bool("requireRevocation");
  map.Done();
}

void ReadToken(YamlMap map, EvidencePolicy& out) {
  out.token.issuer = map.String("issuer");
  out.token.audience = map.String("audience");
  out.token.worst_status = map.OneOf("worstStatus", {"affirming", "warning"}, false, "");
  out.token.environment_when_silent = map.OneOf("environmentWhenSilent", {"hardware"}, false, "");
  out.token.max_age = std::chrono::hours(Between(map, "maxAgeHours", 1, 24 * 366, 24));
  map.Done();
}

// Looks at claims and writes the policy's checks.
class Asker {
 public:
  explicit Asker(verify::Verdict& verdict) : verdict_(verdict) {}

  void Ask(const std::string& name, const std::string& claim, bool fits, std::string expected, std::string found) {
    verify::Check check;
    check.name = "policy." + name;
    check.claim = claim;
    check.expected = std::move(expected);
    check.found = std::move(found);
    check.document = "claims";
    check.outcome = fits ? verify::Check::Outcome::kPassed : verify::Check::Outcome::kFailed;
    if (!fits) {
      check.reason = Err("policy.not-accepted", check.name,
                         claim + " is \"" + check.found + "\"; the policy accepts " + check.expected);
      verdict_.accepted = false;
      verdict_.verified.reset();
    }
    verdict_.checks.push_back(std::move(check));
  }
  void OneOf(const std::string& name, const std::string& claim, const std::vector<std::string>& allowed,
             const std::string& found) {
    if (allowed.empty()) return;
    Ask(name, claim, std::find(allowed.begin(), allowed.end(), found) != allowed.end(), Joined(allowed), found);
  }

 private:
  verify::Verdict& verdict_;
};

std::string TextOfClaim(const Json& claims, const char* name) {
  const auto it = claims.find(name);
  if (it == claims.end()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

}  // namespace

Result<EvidencePolicy> ParseEvidencePolicy(const std::string& yaml, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("EvidencePolicy", yaml, file));
  EvidencePolicy out;
  YamlMap metadata = document->Map("metadata");
  out.name = metadata.String("name");
  metadata.Done();
  YamlMap spec = document->Map("spec", true);
  std::vector<std::string> known;
  for (const Format& format : Formats()) known.emplace_back(format.name);
  out.formats = Some(spec, "formats", known);
  out.environments = Some(spec, "environment", {"hardware", "emulated"});
  ReadGpus(spec.Map("gpus"), out);
  ReadSnp(spec.Map("snp"), out);
  ReadTdx(spec.Map("tdx"), out);
  ReadTpm(spec.Map("tpm"), out);
  ReadToken(spec.Map("token"), out);
  spec.Done();
  RETURN_IF_ERROR(document.Done());
  return out;
}

void ApplyPolicy(const EvidencePolicy& policy, const std::string& format, verify::Verdict& verdict) {
  Asker asker(verdict);
  asker.OneOf("format", "format", policy.formats, format);
  asker.OneOf("environment", "environment", policy.environments, verdict.environment);
  const Json claims = Json::parse(verdict.claims_json, nullptr, false);
  if (!claims.is_object()) return;
  std::vector<Json> gpus;
  if (claims.contains("gpus") && claims["gpus"].is_array()) gpus = claims["gpus"].get<std::vector<Json>>();
  else if (claims.contains("hwmodel")) gpus = {claims};
  const bool asks_gpus = !policy.gpus.modes.empty() || !policy.gpus.models.empty() || !policy.gpus.ueids.empty() ||
                         !policy.gpus.vbios_versions.empty();
  if (policy.gpus.min || policy.gpus.max || asks_gpus) {
    const size_t least = policy.gpus.min.value_or(asks_gpus ? 1 : 0), most = policy.gpus.max.value_or(64);
    asker.Ask("gpus.count", "gpus", gpus.size() >= least && gpus.size() <= most,
              std::to_string(least) + " to " + std::to_string(most), std::to_string(gpus.size()));
  }
  for (size_t i = 0; i < gpus.size(); ++i) {
    const std::string at = "gpu" + std::to_string(i) + ".";
    asker.OneOf(at + "mode", "mode", policy.gpus.modes, TextOfClaim(gpus[i], "mode"));
    asker.OneOf(at + "model", "hwmodel", policy.gpus.models, TextOfClaim(gpus[i], "hwmodel"));
    asker.OneOf(at + "ueid", "ueid", policy.gpus.ueids, TextOfClaim(gpus[i], "ueid"));
    const std::string links = TextOfClaim(gpus[i], "x-nvidia-gpu-mode");
    if (!policy.gpus.protected_pcie && links == "ppcie")
      asker.Ask(at + "protected-pcie", "x-nvidia-gpu-mode", false, "links that are no plain text", links);
    asker.OneOf(at + "vbios", "x-nvidia-gpu-vbios-version", policy.gpus.vbios_versions,
                TextOfClaim(gpus[i], "x-nvidia-gpu-vbios-version"));
  }
  const Json snp = claims.contains("snp") ? claims["snp"] : claims.contains("policy_abi_major") ? claims : Json();
  const bool asks =
      !policy.sandbox.measurements.empty() || !policy.sandbox.host_data.empty() || !policy.sandbox.chip_ids.empty();
  if (!asks) return;  // evidence without a sandbox cannot answer and fails
  asker.OneOf("sandbox-measurement", "measurement", policy.sandbox.measurements, TextOfClaim(snp, "measurement"));
  asker.OneOf("sandbox-host-data", "init_data", policy.sandbox.host_data, TextOfClaim(snp, "init_data"));
  asker.OneOf("sandbox-chip-id", "chip_id", policy.sandbox.chip_ids, TextOfClaim(snp, "chip_id"));
}

}  // namespace ccgpu::cli
