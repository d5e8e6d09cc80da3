#include "shim/host/bundle_state.h"

#include <cstdlib>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::shim {
namespace {
constexpr char kFile[] = "/ccgpu-shim.json";
constexpr size_t kMaxFile = 1 << 16;
}  // namespace

Status WriteBundle(const std::string& bundle, const BundleState& state) {
  Json json = {{"sandbox_id", state.sandbox_id},
               {"cgroups_path", state.cgroups_path},
               {"guest_pid", state.guest_pid},
               {"guest_start", state.guest_start},
               {"init_pid", state.init_pid}};
  return WriteFileAtomic(bundle + kFile, json.dump(), 0600);
}

Result<BundleState> ReadBundle(const std::string& bundle) {
  BundleState state;
  std::string path = bundle + kFile;
  if (!Exists(path)) return state;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxFile));
  ASSIGN_OR_RETURN(Json json, ParseJson(text, path));
  ASSIGN_OR_RETURN(state.sandbox_id, JsonString(json, "sandbox_id", ""));
  ASSIGN_OR_RETURN(state.cgroups_path, JsonString(json, "cgroups_path", ""));
  ASSIGN_OR_RETURN(int64_t guest_pid, JsonInt(json, "guest_pid", ""));
  ASSIGN_OR_RETURN(int64_t guest_start, JsonInt(json, "guest_start", ""));
  ASSIGN_OR_RETURN(int64_t init_pid, JsonInt(json, "init_pid", ""));
  state.guest_pid = static_cast<pid_t>(guest_pid);
  state.guest_start = static_cast<uint64_t>(guest_start);
  state.init_pid = static_cast<pid_t>(init_pid);
  return state;
}

uint64_t ProcessStartTime(pid_t pid) {
  auto text = ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text.ok()) return 0;
  size_t at = text->rfind(')');  // the name before it may hold anything
  if (at == std::string::npos) return 0;
  for (int field = 2; field < 22; ++field) {
    at = text->find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  return std::strtoull(text->c_str() + at, nullptr, 10);
}

}  // namespace ccgpu::shim
