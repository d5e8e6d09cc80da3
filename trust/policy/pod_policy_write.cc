// The one text of a PodPolicy. Written by hand and not by an emitter: the digest of this text is an identity, so it
// must not change when a library does.
#include <algorithm>

#include "trust/policy/pod_policy.h"

namespace ccgpu::policy {
namespace {

// Double-quoted always: no value can turn into a number, a boolean or a comment.
std::string Quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string QuoteList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + Quote(text);
  return out + "]";
}

void WriteMap(std::string& out, const std::string& indent, const char* key,
              const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  out += indent + key + ":\n";
  for (const auto& [name, value] : map) out += indent + "  " + Quote(name) + ": " + Quote(value) + "\n";
}

void WriteVolume(std::string& out, const char* source, const MountPolicy& mount) {
  out += std::string("      source: ") + source + "\n      volume: " + Quote(mount.volume) + "\n";
}

void WriteMount(std::string& out, const MountPolicy& mount) {
  out += "    - destination: " + Quote(mount.destination) + "\n";
  switch (mount.source) {
    case MountPolicy::Source::kEmptyDir: WriteVolume(out, "emptyDir", mount); break;
    case MountPolicy::Source::kHostPath:
      out += "      source: hostPath\n      path: " + Quote(mount.path) + "\n";
      break;
    case MountPolicy::Source::kImageVolume: out += "      source: imageVolume\n"; break;
    case MountPolicy::Source::kConfigMap: WriteVolume(out, "configMap", mount); break;
    case MountPolicy::Source::kSecret: WriteVolume(out, "secret", mount); break;
    case MountPolicy::Source::kProjected: WriteVolume(out, "projected", mount); break;
    case MountPolicy::Source::kDownwardApi: WriteVolume(out, "downwardAPI", mount); break;
    case MountPolicy::Source::kPersistentVolumeClaim: WriteVolume(out, "persistentVolumeClaim", mount); break;
    case MountPolicy::Source::kServiceAccount: out += "      source: serviceAccount\n"; break;
  }
  if (mount.sub_path) out += "      subPath: true\n";
  if (mount.read_only) out += "      readOnly: true\n";
}

void WriteContainer(std::string& out, const ContainerPolicy& container) {
  out += "  - name: " + Quote(container.name) + "\n";
  if (container.init) out += "    init: true\n";
  if (container.restarts) out += "    restartPolicy: Always\n";
  out += "    image: " + Quote(container.image) + "\n";
  out += "    rootfsDigest: " + Quote(container.rootfs_digest) + "\n";
  out += "    args: " + QuoteList(container.args) + "\n";
  out += "    cwd: " + Quote(container.cwd) + "\n";
  WriteMap(out, "    ", "env", container.env);
  if (!container.allowed_env_patterns.empty())
    out += "    allowedEnv: " + QuoteList(container.allowed_env_patterns) + "\n";
  if (!container.pod_name_env.empty()) out += "    podNameEnv: " + QuoteList(container.pod_name_env) + "\n";
  out +=
      "    user:\n      uid: " + std::to_string(container.uid) + "\n      gid: " + std::to_string(container.gid) + "\n";
  if (!container.additional_gids.empty()) {
    out += "      additionalGids: [";
    for (size_t i = 0; i < container.additional_gids.size(); ++i)
      out += (i ? ", " : "") + std::to_string(container.additional_gids[i]);
    out += "]\n";
  }
  out += "    capabilities: " + QuoteList(container.capabilities) + "\n";
  if (container.no_new_privileges) out += "    noNewPrivileges: true\n";
  if (container.readonly_rootfs) out += "    readOnlyRootFilesystem: true\n";
  if (container.terminal) out += "    terminal: true\n";
  if (!container.mounts.empty()) out += "    mounts:\n";
  for (const MountPolicy& mount : container.mounts) WriteMount(out, mount);
  if (container.gpus) out += "    gpus: " + std::to_string(container.gpus) + "\n";
  if (!container.allowed_exec.empty()) out += "    allowedExec:\n";
  for (const auto& argv : container.allowed_exec) out += "    - " + QuoteList(argv) + "\n";
}

}  // namespace

std::string WritePodPolicy(const PodPolicy& policy) {
  std::string out = "apiVersion: " + std::string(kApiVersion) + "\nkind: PodPolicy\nmetadata:\n  " +
                    (policy.generate_name.empty() ? "name: " + Quote(policy.pod_name)
                                                  : "generateName: " + Quote(policy.generate_name)) +
                    "\n  namespace: " + Quote(policy.pod_namespace) + "\nspec:\n";
  if (!policy.hostname.empty()) out += "  hostname: " + Quote(policy.hostname) + "\n";
  out += "  restartPolicy: " + policy.restart_policy + "\n";
  if (policy.host_network) out += "  hostNetwork: true\n";
  if (policy.share_process_namespace) out += "  shareProcessNamespace: true\n";
  if (policy.kubernetes_env) out += "  kubernetesEnv: true\n";
  WriteMap(out, "  ", "sysctls", policy.sysctls);
  out += "  gpus:\n    count: " + std::to_string(policy.gpus.count) + "\n    mode: " + Quote(policy.gpus.mode) + "\n";
  if (policy.gpus.allow_set_ready) out += "    allowSetReady: true\n";
  out += "  containers:\n";
  for (const ContainerPolicy& container : policy.containers) WriteContainer(out, container);
  return out;
}

}  // namespace ccgpu::policy
