// The shim's configuration: a flat YAML mapping (or a JSON object), read without a YAML library because one shim per
// pod runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::shim {

struct Config {
  std::string platform_socket = "/var/lib/ccgpu/run/platform.sock";  // the secure processor
  std::string resolver_socket;  // the device plugin's; empty: no pod ever holds a GPU here
  std::string guest_image;  // folder with guestd, agent, libcuda.so.1, libnvidia-ml.so.1; empty: the shim's own folder
  std::string events_dir;   // <events_dir>/<sandbox>/events.jsonl; empty: no event files
  std::vector<std::string> cdi_dirs = {"/etc/cdi", "/var/run/cdi"};
  bool require_policy = false;  // refuse pods without initdata
  std::string log_format;       // text or json; empty: what CCGPU_LOG_FORMAT says, else text
  std::string runc = "runc";
  std::string pod_gpu_resource = "ccgpu.dev/cc-gpu";
};

inline constexpr char kConfigVariable[] = "CCGPU_SHIM_CONFIG";
inline constexpr char kDefaultConfig[] = "/etc/ccgpu/shim.yaml";

// "shim.bad-config" with file:line:column for unknown keys, doubles, wrong types and relative paths.
Result<Config> ParseConfig(std::string_view text, const std::string& file);
// The file to read: `from_options`, else the variable, else the default if it exists, else "" (then defaults hold).
std::string ConfigFile(const std::string& from_options);
// ParseConfig of that file; "" gives the defaults.
Result<Config> LoadConfig(const std::string& file);

}  // namespace ccgpu::shim
