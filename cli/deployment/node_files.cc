#include "cli/deployment/node_files.h"

#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"

namespace ccgpu::deployment {
namespace {

// A file of `count` random bytes in hex, made once.
Status MakeSecretFile(const std::string& path, size_t count) {
  if (Exists(path)) return Ok();
  crypto::SystemRandom random;
  return WriteFileAtomic(path, HexEncode(random.Take(count)) + "\n", 0600);
}

std::string ContainerdConfig(const Layout& layout) {
  const std::string root = layout.state + "/containerd";
  return R"(# Written by `ccgpu up`; changes are lost at the next one.
version = 2
root = ")" +
         root + R"(/root"
state = ")" +
         root + R"(/state"

[grpc]
  address = ")" +
         layout.ContainerdSocket() + R"("

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/ccgpu/pause:latest"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = ")" +
         root + R"(/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ccgpu]
      runtime_type = "io.containerd.ccgpu.v2"
      # '*' of these globs stops at '/': one line for each prefix.
      pod_annotations = ["io.katacontainers.*", "cdi.k8s.io/*", "ccgpu.dev/*"]
      container_annotations = ["cdi.k8s.io/*", "ccgpu.dev/*"]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ccgpu.options]
        ConfigPath = ")" +
         layout.state + R"(/shim.yaml"
)";
}

std::string CniNetwork(const Layout& layout, const Addresses& addresses) {
  Json network = {{"cniVersion", "0.4.0"},
                  {"name", addresses.bridge},
                  {"plugins",
                   {{{"type", "bridge"},
                     {"bridge", addresses.bridge},
                     {"isGateway", true},
                     {"ipMasq", false},
                     {"hairpinMode", true},
                     {"ipam",
                      {{"type", "host-local"},
                       {"dataDir", layout.state + "/containerd/ipam"},
                       {"ranges", Json::array({Json::array({{{"subnet", addresses.subnet}}})})},
                       {"routes", {{{"dst", "0.0.0.0/0"}}}}}}}}}};
  return network.dump(2) + "\n";
}

std::string ShimConfig(const Layout& layout) {
  return "# Written by `ccgpu up`; changes are lost at the next one.\n"
         "platform_socket: " +
         layout.Run("platform.sock") +
         "\n"
         "resolver_socket: " +
         layout.Run("resolver.sock") +
         "\n"
         "guest_image: " +
         BinFolder() +
         "/../guest\n"
         "events_dir: " +
         layout.state +
         "/pods\n"
         "cdi_dirs: [" +
         layout.state +
         "/cdi]\n"
         "require_policy: true\n";
}

}  // namespace

std::string BinFolder() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string self = size > 0 ? std::string(path, static_cast<size_t>(size)) : "";
  return self.substr(0, self.rfind('/'));
}

Status WriteNodeFiles(const Layout& layout, const Addresses& addresses) {
  for (const char* folder : {"run", "run/device-plugins", "run/pod-resources", "run/plugins_registry", "logs", "broker",
                             "emulator", "pods", "cdi", "images", "containerd/cni"}) {
    RETURN_IF_ERROR(MakeDirs(layout.state + "/" + folder, 0711));
  }
  RETURN_IF_ERROR(WriteFileAtomic(layout.state + "/containerd/config.toml", ContainerdConfig(layout)));
  RETURN_IF_ERROR(WriteFileAtomic(layout.state + "/containerd/cni/10-ccgpu.conflist", CniNetwork(layout, addresses)));
  RETURN_IF_ERROR(WriteFileAtomic(layout.state + "/shim.yaml", ShimConfig(layout)));
  return MakeSecretFile(layout.state + "/broker/master.key", 32);
}

}  // namespace ccgpu::deployment
