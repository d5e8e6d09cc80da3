#include "cli/deployment/node_files.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"

namespace ccgpu::deployment {
namespace {

Result<uint16_t> FreePort() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoError("deployment.no-port", "cannot get a free port on", "127.0.0.1");
  }
  return ntohs(address.sin_port);
}

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

Result<Addresses> ChooseAddresses(const Layout& layout) {
  const std::string file = layout.state + "/addresses.json";
  Addresses out;
  const Bytes hash = crypto::Sha256(AsBytes(layout.state));
  out.bridge = "ccgpu" + HexEncode(ByteView(hash).first(4));
  const std::string net = "10.246." + std::to_string(hash[4]) + ".";
  out.subnet = net + "0/24";
  out.gateway = net + "1";
  if (Exists(file)) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file));
    ASSIGN_OR_RETURN(Json saved, ParseJson(text, file));
    ASSIGN_OR_RETURN(int64_t broker, JsonInt(saved, "broker_port", file));
    ASSIGN_OR_RETURN(int64_t emulator, JsonInt(saved, "emulator_port", file));
    ASSIGN_OR_RETURN(int64_t plugin, JsonInt(saved, "plugin_port", file));
    out.broker_port = static_cast<uint16_t>(broker);
    out.emulator_port = static_cast<uint16_t>(emulator);
    out.plugin_port = static_cast<uint16_t>(plugin);
    return out;
  }
  ASSIGN_OR_RETURN(out.broker_port, FreePort());
  ASSIGN_OR_RETURN(out.emulator_port, FreePort());
  ASSIGN_OR_RETURN(out.plugin_port, FreePort());
  const Json saved = {
      {"broker_port", out.broker_port}, {"emulator_port", out.emulator_port}, {"plugin_port", out.plugin_port}};
  RETURN_IF_ERROR(WriteFileAtomic(file, saved.dump(2) + "\n"));
  return out;
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
