// What both halves of the shim need to know out of an OCI config.json. Nothing here is trusted: guestd holds the whole
// document against the pod policy.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::shim {

enum class ContainerKind {
  kPodSandbox,    // CRI's sandbox: guestd itself is its process
  kPodContainer,  // runs in the sandbox of its pod
  kSingle,        // no CRI (ctr, tests): a container in a sandbox of its own
};

struct SpecFacts {
  ContainerKind kind = ContainerKind::kSingle;
  std::map<std::string, std::string> annotations;
  std::map<std::string, std::string> namespaces;  // type ("network", "pid", ...) -> path, "" for a new one
  std::map<std::string, std::string> sysctls;
  std::string cgroups_path;
  std::string hostname;
  std::string root_path;
  std::map<std::string, std::string> ccgpu_env;  // process.env entries whose name begins with CCGPU_
  bool has_poststop_hooks = false;

  std::string Annotation(const std::string& key) const {
    auto it = annotations.find(key);
    return it == annotations.end() ? "" : it->second;
  }
  // A pid namespace of its own: when its first process ends, the kernel ends all others.
  bool private_pid() const {
    auto it = namespaces.find("pid");
    return it != namespaces.end() && it->second.empty();
  }
};

// "oci.bad-spec" with the field's name for anything that is not of the expected type. An annotation container-type that
// is neither sandbox nor container is an error as well.
Result<SpecFacts> ReadSpec(std::string_view config_json, const std::string& subject);
// The same from <bundle>/config.json (at most 16 MiB).
Result<SpecFacts> ReadBundleSpec(const std::string& bundle);

// Which shim serves a container: the annotation io.containerd.runc.v2.group, else CRI's sandbox id, else the id itself.
std::string GroupOf(const SpecFacts& spec, const std::string& id);

}  // namespace ccgpu::shim
