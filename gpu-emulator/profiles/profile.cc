#include "gpu-emulator/profiles/profile.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/yaml.h"
#include "gpu-emulator/profiles/builtin.h"

namespace ccgpu::emulator {
namespace {

constexpr int64_t kMaxMemoryGiB = 1024;
constexpr uint8_t kMaxComponent = 63;

// Five hex bytes with dots.
bool IsVbiosVersion(const std::string& text) {
  if (text.size() != 14) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != '.' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

// Words that end up in RIM ids and file names.
bool IsIdWord(const std::string& text) {
  return !text.empty() && text.size() <= 16 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '.'; });
}

// Numbers that people write in hex (0x03b1).
uint64_t Number(YamlMap& map, const std::string& key, uint64_t limit) {
  std::string text = map.String(key, true);
  const bool hex = text.starts_with("0x");
  const char* begin = text.data() + (hex ? 2 : 0);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size() || value > limit) {
    map.Fail("profile.invalid", key, "expected a number up to " + std::to_string(limit) + ", found \"" + text + "\"");
  }
  return value;
}

void ReadBoard(YamlMap board, Profile& profile) {
  profile.board_id = static_cast<uint32_t>(Number(board, "id", UINT32_MAX));
  profile.gpu_info = Number(board, "gpuInfo", UINT64_MAX);
  for (auto& [key, value] : {std::pair{"project", &profile.project}, std::pair{"projectSku", &profile.project_sku},
                             std::pair{"chipSku", &profile.chip_sku}}) {
    *value = board.String(key, true);
    if (!value->empty() && (!IsIdWord(*value) || value->size() > 4))
      board.Fail("profile.invalid", key, "expected 1 to 4 letters or digits");
  }
  board.Done();
}

void ReadCompute(YamlMap& spec, Profile& profile) {
  const std::string capability = spec.String("computeCapability", true);
  if (capability.size() != 3 || capability[1] != '.' || !std::isdigit(static_cast<unsigned char>(capability[0])) ||
      !std::isdigit(static_cast<unsigned char>(capability[2]))) {
    spec.Fail("profile.invalid", "computeCapability", "expected \"9.0\" or the like");
  } else {
    profile.compute_major = capability[0] - '0';
    profile.compute_minor = capability[2] - '0';
  }
  profile.sm_count = static_cast<int>(spec.Int("smCount", true));
  if (profile.sm_count < 1 || profile.sm_count > 1024) spec.Fail("profile.invalid", "smCount", "expected 1 to 1024");
  const int64_t memory = spec.Int("memoryGiB", true);
  if (memory < 1 || memory > kMaxMemoryGiB) spec.Fail("profile.invalid", "memoryGiB", "expected 1 to 1024");
  profile.memory_bytes = static_cast<uint64_t>(std::clamp<int64_t>(memory, 1, kMaxMemoryGiB)) << 30;
  YAML::Node nodes = spec.Raw("numaNodes");
  if (nodes && nodes.IsSequence()) {
    for (const auto& node : nodes) profile.numa_nodes.push_back(node.as<int>(-2));
  }
  if (profile.numa_nodes.empty() ||
      std::any_of(profile.numa_nodes.begin(), profile.numa_nodes.end(), [](int n) { return n < -1 || n > 1023; })) {
    spec.Fail("profile.invalid", "numaNodes", "expected a list of node numbers, -1 for none");
    profile.numa_nodes = {-1};
  }
}

void ReadModes(YamlMap& spec, Profile& profile) {
  static const std::vector<std::string> kModes = {"off", "devtools", "apm", "hopper-cc"};
  profile.modes = spec.Strings("modes", true);
  for (const std::string& mode : profile.modes) {
    if (std::find(kModes.begin(), kModes.end(), mode) == kModes.end()) {
      spec.Fail("profile.invalid", "modes", "\"" + mode + "\" is none of off, devtools, apm, hopper-cc");
    }
  }
  profile.default_mode = spec.OneOf("defaultMode", kModes, true);
  if (!profile.Supports(profile.default_mode)) spec.Fail("profile.invalid", "defaultMode", "it is not in modes");
}

}  // namespace

bool Profile::Supports(const std::string& mode) const {
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

std::string Profile::AttestedMode() const {
  for (const char* mode : {"hopper-cc", "apm"}) {
    if (Supports(mode)) return mode;
  }
  return "";
}

Result<Profile> ParseProfile(const std::string& yaml, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("GpuProfile", yaml, file));
  Profile profile;
  YamlMap metadata = document->Map("metadata", true);
  profile.name = metadata.String("name", true);
  metadata.Done();
  YamlMap spec = document->Map("spec", true);
  profile.model = spec.String("model", true);
  if (!profile.model.ends_with("(EMULATED)"))
    spec.Fail("profile.invalid", "model", "must end in (EMULATED): nobody may take the board for a real one");
  profile.architecture = spec.OneOf("architecture", {"HOPPER", "AMPERE"}, true);
  profile.chip = spec.String("chip", true);
  if (!IsIdWord(profile.chip)) spec.Fail("profile.invalid", "chip", "expected letters and digits");
  ReadCompute(spec, profile);
  ReadModes(spec, profile);
  profile.driver_version = spec.String("driverVersion", true);
  if (!IsIdWord(profile.driver_version))
    spec.Fail("profile.invalid", "driverVersion", "expected at most 16 letters, digits and dots");
  profile.vbios_version = spec.String("vbiosVersion", true);
  if (!IsVbiosVersion(profile.vbios_version))
    spec.Fail("profile.invalid", "vbiosVersion", "expected five hex bytes with dots, 96.00.9F.00.01");
  ReadBoard(spec.Map("board", true), profile);
  profile.attestation = spec.Bool("attestation");
  if (profile.attestation && profile.AttestedMode().empty())
    spec.Fail("profile.invalid", "attestation", "no mode of the profile protects anything: there is nothing to attest");
  for (YamlMap& component : spec.Maps("firmware")) {
    const int64_t index = component.Int("index", true);
    if (index < 0 || index > kMaxComponent) component.Fail("profile.invalid", "index", "expected 0 to 63");
    profile.firmware[static_cast<uint8_t>(index & kMaxComponent)] = component.String("version", true);
    component.Done();
  }
  spec.Done();
  RETURN_IF_ERROR(document.Done());
  return profile;
}

std::vector<std::string> BuiltinProfileNames() {
  std::vector<std::string> names;
  for (const auto& [name, text] : BuiltinProfiles()) names.push_back(name);
  return names;
}

Result<Profile> LoadProfile(const std::string& name_or_file) {
  std::string names;
  for (const auto& [name, text] : BuiltinProfiles()) {
    if (name == name_or_file) return ParseProfile(text, name + ".yaml");
    names += (names.empty() ? "" : ", ") + name;
  }
  if (name_or_file.find('/') == std::string::npos && !name_or_file.ends_with(".yaml")) {
    return Err("profile.unknown", name_or_file, "there are " + names + "; or give the path of a YAML file");
  }
  ASSIGN_OR_RETURN(std::string text, ReadFile(name_or_file, 1u << 20));
  return ParseProfile(text, name_or_file);
}

}  // namespace ccgpu::emulator
