#include "cli/deployment/deployment.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock_file.h"
#include "cli/deployment/addresses.h"
#include "cli/deployment/daemon.h"
#include "cli/deployment/node_files.h"
#include "cli/deployment/own_images.h"
#include "gpu-emulator/api/control.grpc.pb.h"
#include "node/api/node.grpc.pb.h"

namespace ccgpu::deployment {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kStartLimit{30000};
constexpr milliseconds kStopGrace{5000};

// Everything a step of Up needs; the steps add daemons as they start them.
struct Deployment {
  const UpOptions& options;
  const Progress& progress;
  Addresses addresses;
  std::vector<Daemon> daemons;
  emulator::v1::GetRootsResponse roots;

  const Layout& layout() const { return options.layout; }
};

std::shared_ptr<grpc::Channel> UnixChannel(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

void SetDeadline(grpc::ClientContext& context, milliseconds limit) {
  context.set_deadline(std::chrono::system_clock::now() + limit);
}

Result<Fd> LockState(const Layout& layout) {
  RETURN_IF_ERROR(MakeDirs(layout.state, 0711));
  ASSIGN_OR_RETURN(Fd lock, TryLockFile(layout.state + "/lock", milliseconds(0), "deployment.lock"));
  if (!lock.valid()) {
    return Err("deployment.busy", layout.state,
               "another `ccgpu up` or `ccgpu down` works on it: wait until it is done");
  }
  return lock;
}

Status CheckMachine(const Layout& layout) {
  if (::geteuid() != 0) return Err("deployment.not-root", "ccgpu up", "needs root (namespaces, cgroups, containerd)");
  // 107 is what a unix socket's path may have; the longest of ours is pod-resources/kubelet.sock.
  if (layout.Run("device-plugins/ccgpu-00000000.sock").size() > 100) {
    return Err("deployment.path-too-long", layout.state,
               "is too long a path for unix sockets: choose a state directory of at most 60 characters");
  }
  std::string missing;
  for (const char* program : {"/usr/bin/containerd", "/usr/sbin/runc", "/usr/lib/cni/bridge"}) {
    if (!Exists(program)) missing += (missing.empty() ? "" : ", ") + std::string(program);
  }
  if (missing.empty()) return Ok();
  return Err("deployment.missing-program", missing,
             "not found: apt-get install containerd runc containernetworking-plugins");
}

// Keeps the daemon of this name if it still lives, else starts it; returns when it is ready. `stale`: files that only a
// living one may leave there.
Status Launch(Deployment& up, const Command& command, const std::vector<std::string>& stale,
              const std::function<bool()>& ready) {
  const std::string log = up.layout().Log(command.name);
  auto known = std::find_if(up.daemons.begin(), up.daemons.end(),
                            [&](const Daemon& daemon) { return daemon.name == command.name; });
  if (known != up.daemons.end() && IsAlive(*known)) return WaitReady(*known, log, kStartLimit, ready);
  if (known != up.daemons.end()) WaitGone(*known, kStopGrace);
  up.progress("starting " + command.name);
  for (const std::string& file : stale) ::unlink(file.c_str());
  ASSIGN_OR_RETURN(Daemon daemon, Start(command, log));
  if (known != up.daemons.end()) *known = daemon;
  else up.daemons.push_back(daemon);
  RETURN_IF_ERROR(SaveDaemons(up.layout().DaemonsFile(), up.daemons));
  return WaitReady(daemon, log, kStartLimit, ready);
}

Status StartContainerd(Deployment& up) {
  const std::string path =
      BinFolder() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";  // the shim is found here
  Command command{
      "containerd", {"containerd", "--config", up.layout().state + "/containerd/config.toml"}, {"PATH=" + path}};
  return Launch(up, command, {up.layout().ContainerdSocket()}, [&] { return Exists(up.layout().ContainerdSocket()); });
}

Status StartEmulator(Deployment& up) {
  Command command{"ccgpu-emulator",
                  {BinFolder() + "/ccgpu-emulator", "--state", up.layout().state + "/emulator", "--run",
                   up.layout().state + "/run", "--gpus", std::to_string(up.options.gpus), "--profile",
                   up.options.profile, "--platform", up.options.platform, "--platform-fault", up.options.platform_fault,
                   "--http", "127.0.0.1:" + std::to_string(up.addresses.emulator_port)},
                  {}};
  auto control = emulator::v1::Control::NewStub(UnixChannel(up.layout().EmulatorSocket()));
  return Launch(up, command, {}, [&] {
    grpc::ClientContext context;
    SetDeadline(context, milliseconds(500));
    return control->GetRoots(&context, {}, &up.roots).ok();
  });
}

Status StartBroker(Deployment& up) {
  const std::string folder = up.layout().state + "/broker";
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/device-root.pem", up.roots.device_root_pem()));
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/rim-root.pem", up.roots.rim_root_pem()));
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/amd-root.pem", up.roots.amd_root_pem()));
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/intel-root.pem", up.roots.intel_root_pem()));
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/tpm-root.pem", up.roots.tpm_root_pem()));
  const std::string port = std::to_string(up.addresses.broker_port);
  Command command{"ccgpu-broker",
                  {BinFolder() + "/ccgpu-broker",
                   "--state",
                   folder,
                   "--master-key",
                   folder + "/master.key",
                   "--listen",
                   "127.0.0.1:" + port,
                   "--listen",
                   up.addresses.gateway + ":" + port,
                   "--device-root",
                   folder + "/device-root.pem",
                   "--rim-root",
                   folder + "/rim-root.pem",
                   "--amd-root",
                   folder + "/amd-root.pem",
                   "--intel-root",
                   folder + "/intel-root.pem",
                   "--tpm-root",
                   folder + "/tpm-root.pem",
                   "--rim-url",
                   up.roots.rim_url(),
                   "--ocsp-url",
                   up.roots.ocsp_url(),
                   "--pcs-url",
                   up.roots.pcs_url(),
                   "--intel-root-crl-url",
                   up.roots.pcs_url() + "/IntelSGXRootCA.der",
                   "--explain-denials"},
                  {}};
  if (up.options.insecure_accept_emulated) command.argv.push_back("--insecure-accept-emulated");
  return Launch(up, command, {folder + "/ready"}, [&] { return Exists(folder + "/ready"); });
}

Status StartNode(Deployment& up) {
  Command command{"ccgpu-node", {BinFolder() + "/ccgpu-node", "--state", up.layout().state}, {}};
  const std::string kubelet = up.layout().Run("device-plugins/kubelet.sock");
  return Launch(up, command, {up.layout().NodeSocket(), kubelet},
                [&] { return Exists(up.layout().NodeSocket()) && Exists(kubelet); });
}

Status StartDevicePlugin(Deployment& up) {
  Command command{
      "ccgpu-device-plugin",
      {BinFolder() + "/ccgpu-device-plugin", "--emulator-socket", up.layout().EmulatorSocket(), "--kubelet-dir",
       up.layout().Run("device-plugins"), "--pod-resources-socket", up.layout().Run("pod-resources/kubelet.sock"),
       "--resolver-socket", up.layout().Run("resolver.sock"), "--cdi-dir", up.layout().state + "/cdi", "--http",
       "127.0.0.1:" + std::to_string(up.addresses.plugin_port)},
      {}};
  auto node = node::v1::Node::NewStub(UnixChannel(up.layout().NodeSocket()));
  return Launch(up, command, {}, [&] {
    grpc::ClientContext context;
    SetDeadline(context, milliseconds(500));
    node::v1::StatusResponse status;
    if (!node->Status(&context, {}, &status).ok() || !status.ready()) return false;
    auto gpus = status.allocatable().find("ccgpu.dev/cc-gpu");
    return up.options.gpus == 0 || (gpus != status.allocatable().end() && gpus->second == up.options.gpus);
  });
}

Status ImportImages(Deployment& up) {
  auto node = node::v1::Node::NewStub(UnixChannel(up.layout().NodeSocket()));
  ASSIGN_OR_RETURN(std::vector<std::string> archives, MakeOwnImages(up.layout(), up.progress));
  archives.insert(archives.end(), up.options.image_archives.begin(), up.options.image_archives.end());
  for (const std::string& archive : archives) {
    up.progress("importing " + std::filesystem::path(archive).filename().string());
    grpc::ClientContext context;
    node::v1::ImportImageRequest request;
    request.set_archive_path(std::filesystem::absolute(archive));
    node::v1::ImportImageResponse response;
    const grpc::Status status = node->ImportImage(&context, request, &response);
    if (!status.ok()) return Err("deployment.import", archive, status.error_message());
  }
  return Ok();
}

Status WriteConfig(const Deployment& up) {
  ASSIGN_OR_RETURN(std::string ca, ReadFile(up.layout().state + "/broker/tls/ca.crt"));
  const Json config = {
      {"gpus", up.options.gpus},
      {"profile", up.options.profile},
      {"platform", up.options.platform},
      {"platform_fault", up.options.platform_fault},
      {"insecure_accept_emulated", up.options.insecure_accept_emulated},
      {"broker_url", "https://" + up.addresses.gateway + ":" + std::to_string(up.addresses.broker_port)},
      {"broker_admin_url", "https://127.0.0.1:" + std::to_string(up.addresses.broker_port)},
      {"broker_ca_pem", ca},
      {"device_root_pem", up.roots.device_root_pem()},
      {"rim_root_pem", up.roots.rim_root_pem()},
      {"amd_root_pem", up.roots.amd_root_pem()},
      {"intel_root_pem", up.roots.intel_root_pem()},
      {"tpm_root_pem", up.roots.tpm_root_pem()},
      {"rim_url", up.roots.rim_url()},
      {"ocsp_url", up.roots.ocsp_url()},
      {"pcs_url", up.roots.pcs_url()},
      {"admin_token_file", up.layout().AdminTokenFile()}};
  return WriteFileAtomic(up.layout().ConfigFile(), config.dump(2) + "\n");
}

Status Steps(Deployment& up) {
  RETURN_IF_ERROR(WriteNodeFiles(up.layout(), up.addresses));
  RETURN_IF_ERROR(StartContainerd(up));
  RETURN_IF_ERROR(StartEmulator(up));
  RETURN_IF_ERROR(StartBroker(up));
  RETURN_IF_ERROR(StartNode(up));
  RETURN_IF_ERROR(StartDevicePlugin(up));
  RETURN_IF_ERROR(ImportImages(up));
  return WriteConfig(up);
}

// A deployment that runs with other options is not silently changed.
Status CheckSameOptions(const UpOptions& options) {
  ASSIGN_OR_RETURN(DeploymentConfig config, LoadConfig(options.layout));
  if (config.gpus == options.gpus && config.profile == options.profile && config.platform == options.platform &&
      config.insecure_accept_emulated == options.insecure_accept_emulated)
    return Ok();
  return Err("deployment.other-options", options.layout.state,
             "is already up with --gpus " + std::to_string(config.gpus) + " --profile " + config.profile +
                 " --platform " + config.platform +
                 (config.insecure_accept_emulated ? " --insecure-accept-emulated" : "") +
                 ": run `ccgpu down` first, or use these options");
}

bool AllAlive(const std::vector<Daemon>& daemons) {
  return !daemons.empty() && std::all_of(daemons.begin(), daemons.end(), IsAlive);
}

// Pods end the regular way first, while everything that knows how to end them still runs.
void RemovePods(const Layout& layout, const Progress& progress) {
  auto node = node::v1::Node::NewStub(UnixChannel(layout.NodeSocket()));
  grpc::ClientContext list_context;
  SetDeadline(list_context, milliseconds(5000));
  node::v1::ListPodsResponse pods;
  if (!node->ListPods(&list_context, {}, &pods).ok()) return;
  for (const auto& pod : pods.pods()) {
    progress("removing pod " + pod.name());
    grpc::ClientContext context;
    SetDeadline(context, milliseconds(20000));
    node::v1::PodRef ref;
    ref.set_name(pod.name());
    ref.set_pod_namespace(pod.pod_namespace());
    ref.set_force(true);
    node::v1::RemovePodResponse response;
    node->RemovePod(&context, ref, &response);
  }
}

// Shims that outlived their containerd (killed while it was starting one); each takes its guest with it.
void StopOrphanShims(const Layout& layout) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    auto command = ReadFile(entry.path() / "cmdline", 1 << 16);
    if (!command.ok() || command->find("containerd-shim-") == std::string::npos ||
        command->find('\0' + layout.ContainerdSocket() + '\0') == std::string::npos)
      continue;
    if (auto daemon = Running(std::stoi(name)); daemon.ok()) Stop(*daemon, milliseconds(0));
  }
}

void UnmountBelow(const std::string& folder) {
  auto mounts = ReadFile("/proc/self/mounts");
  if (!mounts.ok()) return;
  std::istringstream lines(*mounts);
  std::vector<std::string> points;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string source, point;
    fields >> source >> point;
    if (point.starts_with(folder + "/")) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) ::umount2(point->c_str(), MNT_DETACH);
}

Status TearDown(const Layout& layout, std::vector<Daemon> daemons, const Progress& progress) {
  for (const Daemon& daemon : daemons) {
    if (daemon.name == "ccgpu-node" && IsAlive(daemon)) RemovePods(layout, progress);
  }
  for (auto daemon = daemons.rbegin(); daemon != daemons.rend(); ++daemon) {
    if (IsAlive(*daemon)) progress("stopping " + daemon->name);
    Stop(*daemon, kStopGrace);
  }
  StopOrphanShims(layout);
  UnmountBelow(layout.state);
  RemoveBridge(layout);
  std::error_code ignored;
  std::filesystem::remove_all(layout.state + "/run", ignored);
  std::filesystem::remove(layout.state + "/broker/ready", ignored);
  return Ok();
}

}  // namespace

Result<DeploymentConfig> LoadConfig(const Layout& layout) {
  if (!Exists(layout.ConfigFile()))
    return Err("deployment.not-up", layout.state,
               "no deployment lives here: run `ccgpu up` first, or name its --state");
  ASSIGN_OR_RETURN(std::string text, ReadFile(layout.ConfigFile()));
  ASSIGN_OR_RETURN(Json json, ParseJson(text, layout.ConfigFile()));
  DeploymentConfig out;
  const std::string& where = layout.ConfigFile();
  ASSIGN_OR_RETURN(int64_t gpus, JsonInt(json, "gpus", where));
  out.gpus = static_cast<int>(gpus);
  out.insecure_accept_emulated = json.value("insecure_accept_emulated", false);
  struct Text {
    const char* key;
    std::string* to;
  };
  const Text texts[] = {{"profile", &out.profile},
                        {"broker_url", &out.broker_url},
                        {"broker_admin_url", &out.broker_admin_url},
                        {"broker_ca_pem", &out.broker_ca_pem},
                        {"device_root_pem", &out.device_root_pem},
                        {"rim_root_pem", &out.rim_root_pem},
                        {"amd_root_pem", &out.amd_root_pem},
                        {"platform", &out.platform},
                        {"intel_root_pem", &out.intel_root_pem},
                        {"tpm_root_pem", &out.tpm_root_pem},
                        {"pcs_url", &out.pcs_url},
                        {"rim_url", &out.rim_url},
                        {"ocsp_url", &out.ocsp_url},
                        {"admin_token_file", &out.admin_token_file}};
  for (const Text& text_field : texts) {
    ASSIGN_OR_RETURN(*text_field.to, JsonString(json, text_field.key, where));
  }
  return out;
}

Status Up(const UpOptions& options, const Progress& progress) {
  RETURN_IF_ERROR(CheckMachine(options.layout));
  ASSIGN_OR_RETURN(Fd lock, LockState(options.layout));
  ASSIGN_OR_RETURN(std::vector<Daemon> running, LoadDaemons(options.layout.DaemonsFile()));
  if (!running.empty() && Exists(options.layout.ConfigFile())) RETURN_IF_ERROR(CheckSameOptions(options));
  if (AllAlive(running)) {
    progress("already up");
    return Ok();
  }
  ASSIGN_OR_RETURN(Addresses addresses, ReserveAddresses(options.layout));
  const bool repair = std::any_of(running.begin(), running.end(), IsAlive);  // some died: what lives goes on
  Deployment up{options, progress, addresses, running, {}};
  Status status = Steps(up);
  if (!status.ok() && !repair) (void)TearDown(options.layout, up.daemons, [](const std::string&) {});
  return status;
}

Status Down(const Layout& layout, const Progress& progress) {
  if (!Exists(layout.state)) return Ok();
  ASSIGN_OR_RETURN(Fd lock, LockState(layout));
  ASSIGN_OR_RETURN(std::vector<Daemon> daemons, LoadDaemons(layout.DaemonsFile()));
  return TearDown(layout, daemons, progress);
}

}  // namespace ccgpu::deployment
