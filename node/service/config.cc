#include "node/service/config.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/lock_file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/yaml.h"
#include "node/devices/kubelet_server.h"
#include "node/service/node_service.h"

namespace ccgpu::node {

void Config::FillFrom(const std::string& state) {
  FillDefault(containerd_address, state + "/run/containerd.sock");
  FillDefault(device_plugin_dir, state + "/run/device-plugins");
  FillDefault(pod_resources_dir, state + "/run/pod-resources");
  FillDefault(node_socket, state + "/run/node.sock");
  FillDefault(work_dir, state + "/node");
  FillDefault(logs_dir, state + "/logs/pods");
  FillDefault(events_dir, state + "/pods");
  // Not in device-plugins as the kubelet has it: that folder is in run/ here and does not survive `ccgpu down`.
  FillDefault(checkpoint, work_dir + "/kubelet_internal_checkpoint");
}

Status LoadConfig(const std::string& path, Config& config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("NodeConfig", text, path));
  YamlMap spec = document->Map("spec", true);
  config.containerd_address = spec.String("containerdAddress", false, config.containerd_address);
  config.device_plugin_dir = spec.String("devicePluginDir", false, config.device_plugin_dir);
  config.pod_resources_dir = spec.String("podResourcesDir", false, config.pod_resources_dir);
  config.node_socket = spec.String("nodeSocket", false, config.node_socket);
  config.work_dir = spec.String("workDir", false, config.work_dir);
  config.logs_dir = spec.String("logsDir", false, config.logs_dir);
  config.events_dir = spec.String("eventsDir", false, config.events_dir);
  config.checkpoint = spec.String("checkpoint", false, config.checkpoint);
  config.cgroup_parent = spec.String("cgroupParent", false, config.cgroup_parent);
  config.ctr = spec.String("ctr", false, config.ctr);
  config.restart_backoff_ms = spec.Int("restartBackoffMilliseconds", false, config.restart_backoff_ms);
  config.log_level = spec.OneOf("logLevel", {"debug", "info", "warning", "error"}, false, config.log_level);
  config.log_format = spec.OneOf("logFormat", {"text", "json"}, false, config.log_format);
  spec.Done();
  return document.Done();
}

Status CheckConfig(const Config& config) {
  if (!config.cgroup_parent.empty() &&
      (config.cgroup_parent[0] != '/' || config.cgroup_parent.find("..") != std::string::npos ||
       config.cgroup_parent == "/")) {
    return Err("node.bad-config", "cgroupParent",
               "\"" + config.cgroup_parent + "\" must be an absolute cgroup path such as /ccgpu, or empty");
  }
  if (config.restart_backoff_ms < 1 || config.restart_backoff_ms > 300000)
    return Err("node.bad-config", "restartBackoffMilliseconds", "goes from 1 to 300000");
  for (const auto& path :
       {config.node_socket, config.device_plugin_dir + "/kubelet.sock", config.pod_resources_dir + "/kubelet.sock"}) {
    if (path.size() > 107) return Err("node.bad-config", path, "is too long for a unix socket (107 characters)");
  }
  return Ok();
}

namespace {

// Two nodes on one state would hand out the same GPUs.
Result<Fd> LockWorkDir(const std::string& dir) {
  RETURN_IF_ERROR(MakeDirs(dir, 0750));
  const std::string path = dir + "/lock";
  ASSIGN_OR_RETURN(Fd lock, TryLockFile(path, kPredecessorsEnd, "node.locked"));
  if (!lock.valid()) return Err("node.locked", path, "another ccgpu-node runs on this folder");
  return lock;
}

}  // namespace

Status Serve(const Config& config) {
  const EndSignals ends;
  RETURN_IF_ERROR(CheckConfig(config));
  ASSIGN_OR_RETURN(const Fd lock, LockWorkDir(config.work_dir));
  if (auto slash = config.node_socket.rfind('/'); slash != std::string::npos && slash > 0)
    RETURN_IF_ERROR(MakeDirs(config.node_socket.substr(0, slash), 0750));
  SystemClock clock;
  CriClient cri(config.containerd_address);
  ExitNotice exits(config.containerd_address);
  ASSIGN_OR_RETURN(const auto devices, DeviceManager::Open(config.checkpoint));
  ASSIGN_OR_RETURN(const auto pods,
                   PodManager::Open(PodEnvironment{cri, *devices, exits, clock, config.work_dir + "/pods",
                                                   config.logs_dir, config.events_dir, config.cgroup_parent,
                                                   std::chrono::milliseconds(config.restart_backoff_ms)}));
  ImageStore images(cri, config.work_dir + "/images", config.containerd_address, config.ctr);
  exits.Start();
  NodeService service(*pods, images, cri, *devices);
  ASSIGN_OR_RETURN(auto kubelet, KubeletServer::Start(config.device_plugin_dir, config.pod_resources_dir, *devices));
  ::unlink(config.node_socket.c_str());  // ours alone: the lock says so
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + config.node_socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(16 << 20);
  auto server = builder.BuildAndStart();
  if (!server) return Err("node.socket", config.node_socket, "cannot listen there");
  ::chmod(config.node_socket.c_str(), 0600);
  pods->Start();
  log::Info("serving", {{"socket", config.node_socket}, {"containerd", config.containerd_address}});

  log::Info("stopping; pods go on", {{"signal", std::to_string(ends.Wait())}});
  service.Stop();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  kubelet.reset();
  pods->Detach();
  devices->StopAll();
  exits.Stop();
  ::unlink(config.node_socket.c_str());
  return Ok();
}

}  // namespace ccgpu::node
