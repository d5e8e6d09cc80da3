#include "device-plugin/plugin/resolver.h"

#include "base/file.h"
#include "base/log.h"
#include "base/rpc/client.h"
#include "base/ttrpc/server.h"
#include "device-plugin/api/podresources.pb.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "device-plugin/plugin/pod_resources.h"

namespace ccgpu::deviceplugin {
namespace {

constexpr char kService[] = "ccgpu.deviceplugin.v1.Resolver";

std::string GpusOf(const v1::PodGpusResponse& answer) {
  std::string out;
  for (const auto& container : answer.containers()) {
    for (const auto& gpu : container.gpus()) out += (out.empty() ? "" : ",") + gpu.device_id();
  }
  return out;
}

}  // namespace

struct Resolver::Server {
  ttrpc::Server ttrpc;
};

Resolver::Resolver(std::string pod_resources, std::string resource_name, const DeviceTable& table, Metrics& metrics)
    : pod_resources_(std::move(pod_resources)),
      resource_name_(std::move(resource_name)),
      table_(table),
      metrics_(metrics) {}

Resolver::~Resolver() = default;

Result<v1::PodGpusResponse> Resolver::PodGpus(const std::string& name, const std::string& pod_namespace) const {
  rpc::Client kubelet(pod_resources_, kMaxPodResources);
  ::v1::PodResources pod;
  ::v1::GetPodResourcesRequest get;
  get.set_pod_name(name);
  get.set_pod_namespace(pod_namespace);
  ::v1::GetPodResourcesResponse got;
  if (kubelet.Call("/v1.PodResourcesLister/Get", get, &got, kPodResourcesTimeout).ok()) {
    pod = got.pod_resources();
  } else {
    ::v1::ListPodResourcesResponse list;
    const auto outcome =
        kubelet.Call("/v1.PodResourcesLister/List", ::v1::ListPodResourcesRequest(), &list, kPodResourcesTimeout);
    if (!outcome.ok()) {
      return Err("plugin.pod-resources-unavailable", pod_resources_,
                 "neither Get nor List answers (" + outcome.message + "); is the kubelet or ccgpu-node running?");
    }
    for (const auto& one : list.pod_resources()) {
      if (one.name() == name && one.namespace_() == pod_namespace) pod = one;
    }
  }
  const auto devices = table_.Get();
  v1::PodGpusResponse response;
  for (const auto& container : pod.containers()) {
    v1::ContainerGpus gpus;
    for (const auto& held : container.devices()) {
      if (held.resource_name() != resource_name_) continue;
      for (const auto& id : held.device_ids()) {
        const GpuView* gpu = devices->Find(id);
        // A GPU that is held and not ours would be silently missing in the sandbox: refuse instead.
        if (gpu == nullptr)
          return Err("plugin.unknown-device", id,
                     "is held by pod " + pod_namespace + "/" + name + " but unknown to the emulator");
        auto* bound = gpus.add_gpus();
        bound->set_device_id(id);
        bound->set_cdi_name(CdiName(id));
        bound->set_index(gpu->index);
      }
    }
    if (gpus.gpus().empty()) continue;
    gpus.set_container_name(container.name());
    *response.add_containers() = std::move(gpus);
  }
  return response;
}

Status Resolver::Serve(const std::string& socket) {
  if (auto slash = socket.rfind('/'); slash != std::string::npos) RETURN_IF_ERROR(MakeDirs(socket.substr(0, slash)));
  server_ = std::make_unique<Server>();
  server_->ttrpc.On<v1::PodGpusRequest, v1::PodGpusResponse>(
      kService, "PodGpus",
      [this](const v1::PodGpusRequest& request, const ttrpc::CallContext&) -> Result<v1::PodGpusResponse> {
        auto answer = PodGpus(request.pod_name(), request.pod_namespace());
        (answer.ok() ? metrics_.resolver_ok : metrics_.resolver_failed)++;
        const std::string pod = request.pod_namespace() + "/" + request.pod_name();
        if (answer.ok()) {
          log::Info("told a pod's GPUs", {{"sandbox", request.sandbox_id()},
                                          {"pod", pod},
                                          {"pod_uid", request.pod_uid()},
                                          {"gpus", GpusOf(*answer)}});
        } else {
          log::Warning("cannot tell a pod's GPUs", {{"sandbox", request.sandbox_id()},
                                                    {"pod", pod},
                                                    {"pod_uid", request.pod_uid()},
                                                    {"why", answer.error().ToString()}});
        }
        return answer;
      });
  return server_->ttrpc.ServeUnixTakingOver(socket);
}

}  // namespace ccgpu::deviceplugin
