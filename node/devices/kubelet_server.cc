#include "node/devices/kubelet_server.h"

#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "base/fd.h"
#include "base/file.h"
#include "device-plugin/api/podresources.grpc.pb.h"
#include "device-plugin/api/v1beta1.grpc.pb.h"

namespace ccgpu::node {
namespace {

class RegistrationService final : public v1beta1::Registration::Service {
 public:
  RegistrationService(std::string dir, DeviceManager& manager) : dir_(std::move(dir)), manager_(manager) {}

  grpc::Status Register(grpc::ServerContext*, const v1beta1::RegisterRequest* request, v1beta1::Empty*) override {
    if (request->endpoint().empty() || request->endpoint().find('/') != std::string::npos) {
      return {grpc::StatusCode::INVALID_ARGUMENT, Err("node.bad-registration", request->endpoint(),
                                                      "the endpoint must be a file name in the folder of kubelet.sock")
                                                      .ToString()};
    }
    const auto status =
        manager_.Register(request->version(), request->resource_name(), dir_ + "/" + request->endpoint());
    if (status.ok()) return grpc::Status::OK;
    return {grpc::StatusCode::INVALID_ARGUMENT, status.error().ToString()};
  }

 private:
  std::string dir_;
  DeviceManager& manager_;
};

void AddDevices(const DeviceEntry& entry, v1::ContainerResources* out) {
  for (const auto& [numa, ids] : entry.ids_by_numa) {
    auto* devices = out->add_devices();
    devices->set_resource_name(entry.resource);
    for (const auto& id : ids) devices->add_device_ids(id);
    if (numa >= 0) devices->mutable_topology()->add_nodes()->set_id(numa);
  }
}

class PodResourcesService final : public v1::PodResourcesLister::Service {
 public:
  explicit PodResourcesService(DeviceManager& manager) : manager_(manager) {}

  grpc::Status List(grpc::ServerContext*, const v1::ListPodResourcesRequest*,
                    v1::ListPodResourcesResponse* response) override {
    std::map<std::string, v1::PodResources*> pods;
    for (const auto& held : manager_.Held()) {
      auto*& pod = pods[held.pod_uid];
      if (pod == nullptr) pod = response->add_pod_resources();
      Add(held, pod);
    }
    return grpc::Status::OK;
  }

  grpc::Status Get(grpc::ServerContext*, const v1::GetPodResourcesRequest* request,
                   v1::GetPodResourcesResponse* response) override {
    bool found = false;
    for (const auto& held : manager_.Held()) {
      if (held.pod != PodName{request->pod_namespace(), request->pod_name()}) continue;
      Add(held, response->mutable_pod_resources());
      found = true;
    }
    if (found) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND,
            "pod " + request->pod_namespace() + "/" + request->pod_name() + " holds no devices"};
  }

  grpc::Status GetAllocatableResources(grpc::ServerContext*, const v1::AllocatableResourcesRequest*,
                                       v1::AllocatableResourcesResponse* response) override {
    for (const auto& [resource, devices] : manager_.Devices()) {
      for (const auto& device : devices) {
        if (!device.healthy) continue;
        auto* one = response->add_devices();
        one->set_resource_name(resource);
        one->add_device_ids(device.id);
        for (int64_t numa : device.numa_nodes) one->mutable_topology()->add_nodes()->set_id(numa);
      }
    }
    return grpc::Status::OK;
  }

 private:
  static void Add(const HeldDevices& held, v1::PodResources* pod) {
    pod->set_name(held.pod.name);
    pod->set_namespace_(held.pod.pod_namespace);
    v1::ContainerResources* container = nullptr;
    for (auto& one : *pod->mutable_containers()) {
      if (one.name() == held.entry.container) container = &one;
    }
    if (container == nullptr) {
      container = pod->add_containers();
      container->set_name(held.entry.container);
    }
    AddDevices(held.entry, container);
  }
  DeviceManager& manager_;
};

bool SomeoneListens(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Result<std::unique_ptr<grpc::Server>> ServeOn(const std::string& path, grpc::Service& service) {
  if (SomeoneListens(path))
    return Err("node.socket", path, "is served by another process; is a kubelet or ccgpu-node running?");
  ::unlink(path.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  auto server = builder.BuildAndStart();
  if (!server) return Err("node.socket", path, "cannot listen there (too long a path, or no such folder)");
  ::chmod(path.c_str(), 0600);
  return server;
}

}  // namespace

struct KubeletServer::Impl {
  Impl(const std::string& dir, DeviceManager& manager) : registration(dir, manager), pod_resources(manager) {}
  RegistrationService registration;
  PodResourcesService pod_resources;
  std::string registration_path, pod_resources_path;
  std::unique_ptr<grpc::Server> registration_server, pod_resources_server;
};

KubeletServer::KubeletServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KubeletServer::~KubeletServer() {
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(1);
  if (impl_->registration_server) impl_->registration_server->Shutdown(deadline);
  if (impl_->pod_resources_server) impl_->pod_resources_server->Shutdown(deadline);
  ::unlink(impl_->registration_path.c_str());
  ::unlink(impl_->pod_resources_path.c_str());
}

Result<std::unique_ptr<KubeletServer>> KubeletServer::Start(const std::string& device_plugin_dir,
                                                            const std::string& pod_resources_dir,
                                                            DeviceManager& manager) {
  RETURN_IF_ERROR(MakeDirs(device_plugin_dir, 0750));
  RETURN_IF_ERROR(MakeDirs(pod_resources_dir, 0750));
  auto impl = std::make_unique<Impl>(device_plugin_dir, manager);
  impl->registration_path = device_plugin_dir + "/kubelet.sock";
  impl->pod_resources_path = pod_resources_dir + "/kubelet.sock";
  if (SomeoneListens(impl->registration_path)) {
    return Err("node.socket", impl->registration_path,
               "is served by another process; is a kubelet or ccgpu-node running?");
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(device_plugin_dir, ignored)) {
    if (entry.is_socket(ignored)) ::unlink(entry.path().c_str());
  }
  ASSIGN_OR_RETURN(impl->pod_resources_server, ServeOn(impl->pod_resources_path, impl->pod_resources));
  ASSIGN_OR_RETURN(impl->registration_server, ServeOn(impl->registration_path, impl->registration));
  return std::unique_ptr<KubeletServer>(new KubeletServer(std::move(impl)));
}

}  // namespace ccgpu::node
