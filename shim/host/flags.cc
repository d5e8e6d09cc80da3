#include "shim/host/flags.h"

#include <map>

namespace ccgpu::shim {

Result<Flags> ParseFlags(const std::vector<std::string>& arguments) {
  Flags flags;
  const std::map<std::string, std::string Flags::*> texts = {
      {"namespace", &Flags::ns}, {"address", &Flags::address}, {"publish-binary", &Flags::publish_binary},
      {"id", &Flags::id},        {"bundle", &Flags::bundle},   {"socket", &Flags::socket},
      {"debug-socket", nullptr},
  };
  const std::map<std::string, bool Flags::*> switches = {
      {"debug", &Flags::debug}, {"v", &Flags::version}, {"version", &Flags::version},
      {"info", &Flags::info},   {"h", &Flags::help},    {"help", &Flags::help},
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.empty() || argument[0] != '-') {
      if (!flags.action.empty())
        return Err("shim.usage", argument, "more than one action: " + flags.action + " came before");
      flags.action = argument;
      continue;
    }
    std::string name = argument.substr(argument.rfind("--", 0) == 0 ? 2 : 1), value;
    size_t equals = name.find('=');
    bool has_value = equals != std::string::npos;
    if (has_value) value = name.substr(equals + 1), name.resize(equals);
    if (auto it = switches.find(name); it != switches.end()) {
      if (has_value && value != "true" && value != "false")
        return Err("shim.usage", argument, "expected true or false");
      flags.*it->second = !has_value || value == "true";
      continue;
    }
    auto it = texts.find(name);
    if (it == texts.end()) return Err("shim.usage", argument, "no such flag; see --help");
    if (!has_value) {
      if (i + 1 == arguments.size()) return Err("shim.usage", argument, "this flag needs a value");
      value = arguments[++i];
    }
    if (it->second) flags.*it->second = value;
  }
  return flags;
}

std::string UsageText() {
  return "containerd-shim-ccgpu-v2: containerd's runtime shim for confidential-GPU pods (runtime "
         "io.containerd.ccgpu.v2).\n"
         "containerd runs it; by hand only --version and --help make sense.\n"
         "usage: containerd-shim-ccgpu-v2 -namespace NS -address SOCKET -id ID [-bundle DIR] [-debug] start|delete\n"
         "\n"
         "Configuration: the file named by the runtime's ConfigPath option, by $CCGPU_SHIM_CONFIG, or "
         "/etc/ccgpu/shim.yaml.\n"
         "Keys: platform_socket, resolver_socket, guest_image, events_dir, cdi_dirs, require_policy, log_format, runc, "
         "pod_gpu_resource.\n";
}

}  // namespace ccgpu::shim
