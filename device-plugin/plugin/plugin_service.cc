#include "device-plugin/plugin/plugin_service.h"

#include <set>

#include "base/log.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "device-plugin/plugin/preferred.h"

namespace ccgpu::deviceplugin {
namespace {

grpc::Status Refuse(grpc::StatusCode code, const Error& error) { return grpc::Status(code, error.ToString()); }

// How late an ended stream may be noticed: until then the kubelet counts no GPU of ours.
constexpr std::chrono::milliseconds kNoticeCancel{100};
// The kubelet's gRPC client refuses larger messages, and would only log it.
constexpr size_t kMaxList = 4u << 20;

v1beta1::ListAndWatchResponse DeviceList(const Snapshot& devices) {
  v1beta1::ListAndWatchResponse response;
  for (const auto& gpu : devices.gpus) {
    auto* device = response.add_devices();
    device->set_id(gpu.id);
    device->set_health(gpu.healthy ? "Healthy" : "Unhealthy");
    if (gpu.numa_node >= 0) device->mutable_topology()->add_nodes()->set_id(gpu.numa_node);
  }
  return response;
}

Error Unhealthy(const GpuView& gpu) {
  return Err("plugin.unhealthy-device", gpu.id,
             "is unhealthy" + (gpu.reason.empty() ? "" : " (" + gpu.reason + ")") + "; see ccgpu gpu list");
}

}  // namespace

v1beta1::DevicePluginOptions PluginOptions() {
  v1beta1::DevicePluginOptions options;
  options.set_pre_start_required(true);
  options.set_get_preferred_allocation_available(true);
  return options;
}

PluginService::PluginService(DeviceTable& table, Metrics& metrics, ServiceOptions options)
    : table_(table), metrics_(metrics), options_(options) {}

void PluginService::Stop() {
  stopping_ = true;
  table_.Wake();
}

grpc::Status PluginService::GetDevicePluginOptions(grpc::ServerContext*, const v1beta1::Empty*,
                                                   v1beta1::DevicePluginOptions* response) {
  *response = PluginOptions();
  return grpc::Status::OK;
}

grpc::Status PluginService::ListAndWatch(grpc::ServerContext* context, const v1beta1::Empty*,
                                         grpc::ServerWriter<v1beta1::ListAndWatchResponse>* writer) {
  auto devices = table_.Get();
  std::string last;
  bool first = true;
  while (!stopping_ && !context->IsCancelled()) {
    const auto response = DeviceList(*devices);
    const std::string bytes = response.SerializeAsString();
    if (bytes.size() > kMaxList) {
      const Error error = Err("plugin.list-too-large", std::to_string(devices->gpus.size()) + " GPUs",
                              "take " + std::to_string(bytes.size()) + " bytes to list; a kubelet reads at most " +
                                  std::to_string(kMaxList) + ", so none can be advertised");
      log::Error("cannot list the GPUs", {{"why", error.ToString()}});
      return Refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, error);
    }
    // The table also changes for state and holder, which the kubelet does not see.
    if (first || bytes != last) {
      if (!writer->Write(response)) break;
      last = bytes;
      first = false;
    }
    devices = table_.WaitChange(devices->version, kNoticeCancel);
  }
  if (!stopping_ && options_.on_stream_lost) options_.on_stream_lost();
  return grpc::Status::OK;
}

grpc::Status PluginService::GetPreferredAllocation(grpc::ServerContext*,
                                                   const v1beta1::PreferredAllocationRequest* request,
                                                   v1beta1::PreferredAllocationResponse* response) {
  const auto devices = table_.Get();
  for (const auto& one : request->container_requests()) {
    auto chosen = PreferredDevices(*devices, {one.available_deviceids().begin(), one.available_deviceids().end()},
                                   {one.must_include_deviceids().begin(), one.must_include_deviceids().end()},
                                   one.allocation_size());
    if (!chosen.ok()) return Refuse(grpc::StatusCode::INVALID_ARGUMENT, chosen.error());
    auto* answer = response->add_container_responses();
    for (auto& id : *chosen) answer->add_deviceids(std::move(id));
  }
  return grpc::Status::OK;
}

grpc::Status PluginService::Allocate(grpc::ServerContext* context, const v1beta1::AllocateRequest* request,
                                     v1beta1::AllocateResponse* response) {
  const auto start = std::chrono::steady_clock::now();
  grpc::Status status = grpc::Status::OK;
  if (request->container_requests().empty()) {
    status = Refuse(grpc::StatusCode::INVALID_ARGUMENT,
                    Err("plugin.bad-request", "container_requests", "is empty; nothing to allocate"));
  }
  std::set<std::string> seen;
  for (const auto& one : request->container_requests()) {
    for (const auto& id : one.devices_ids()) {
      if (status.ok() && !seen.insert(id).second) {
        status =
            Refuse(grpc::StatusCode::INVALID_ARGUMENT, Err("plugin.bad-request", id, "stands twice in one request"));
      }
    }
  }
  for (const auto& one : request->container_requests()) {
    if (!status.ok()) break;
    status = AllocateOne(context, one, response->add_container_responses());
  }
  (status.ok() ? metrics_.allocations_ok : metrics_.allocations_refused)++;
  metrics_.ObserveAllocate(std::chrono::steady_clock::now() - start);
  if (!status.ok()) {
    response->Clear();
    log::Warning("refused an allocation", {{"why", status.error_message()}});
  }
  return status;
}

grpc::Status PluginService::AllocateOne(grpc::ServerContext* context, const v1beta1::ContainerAllocateRequest& request,
                                        v1beta1::ContainerAllocateResponse* response) {
  if (request.devices_ids().empty()) {
    return Refuse(grpc::StatusCode::INVALID_ARGUMENT, Err("plugin.bad-request", "devices_ids", "is empty"));
  }
  const auto deadline = std::chrono::steady_clock::now() + options_.allocate_deadline;
  std::string visible;
  for (const auto& id : request.devices_ids()) {
    auto devices = table_.Get();
    for (;;) {
      const GpuView* gpu = devices->Find(id);
      if (gpu == nullptr) {
        return Refuse(grpc::StatusCode::INVALID_ARGUMENT,
                      Err("plugin.unknown-device", id, "is not a GPU of this node"));
      }
      if (!gpu->healthy) return Refuse(grpc::StatusCode::FAILED_PRECONDITION, Unhealthy(*gpu));
      if (gpu->sandbox_id.empty()) break;
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || stopping_ || context->IsCancelled()) {
        return Refuse(
            grpc::StatusCode::FAILED_PRECONDITION,
            Err("plugin.device-held", id, "is still held by sandbox " + gpu->sandbox_id + "; remove that pod first"));
      }
      devices = table_.WaitChange(devices->version, std::min(left, std::chrono::milliseconds(200)));
    }
    visible += (visible.empty() ? "" : ",") + id;
    (*response->mutable_annotations())[CdiAnnotationKey(id)] = CdiName(id);
    response->add_cdi_devices()->set_name(CdiName(id));
  }
  (*response->mutable_envs())["CCGPU_VISIBLE_DEVICES"] = visible;
  return grpc::Status::OK;
}

grpc::Status PluginService::PreStartContainer(grpc::ServerContext*, const v1beta1::PreStartContainerRequest* request,
                                              v1beta1::PreStartContainerResponse*) {
  const auto devices = table_.Get();
  for (const auto& id : request->devices_ids()) {
    const GpuView* gpu = devices->Find(id);
    if (gpu == nullptr) {
      return Refuse(grpc::StatusCode::INVALID_ARGUMENT, Err("plugin.unknown-device", id, "is not a GPU of this node"));
    }
    if (!gpu->healthy) return Refuse(grpc::StatusCode::FAILED_PRECONDITION, Unhealthy(*gpu));
  }
  return grpc::Status::OK;
}

}  // namespace ccgpu::deviceplugin
