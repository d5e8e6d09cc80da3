#include "device-plugin/plugin/plugin_service.h"

#include <set>

#include "base/log.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "device-plugin/plugin/preferred.h"

namespace ccgpu::deviceplugin {
namespace {

rpc::Outcome Refuse(rpc::Code code, const Error& error) { return {code, error.ToString()}; }

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

void PluginService::RegisterWith(rpc::Server& server) {
  const std::string service = "/v1beta1.DevicePlugin/";
  server.Unary<v1beta1::Empty, v1beta1::DevicePluginOptions>(
      service + "GetDevicePluginOptions",
      [](const v1beta1::Empty&, v1beta1::DevicePluginOptions* response, const rpc::ServerCall&) {
        *response = PluginOptions();
        return rpc::Outcome::Ok();
      });
  server.Streaming<v1beta1::Empty, v1beta1::ListAndWatchResponse>(
      service + "ListAndWatch", [this](const v1beta1::Empty&, auto& writer) { return ListAndWatch(writer); });
  server.Unary<v1beta1::PreferredAllocationRequest, v1beta1::PreferredAllocationResponse>(
      service + "GetPreferredAllocation", [this](const auto& request, auto* response, const rpc::ServerCall&) {
        return GetPreferredAllocation(request, response);
      });
  server.Unary<v1beta1::AllocateRequest, v1beta1::AllocateResponse>(
      service + "Allocate", [this](const auto& request, auto* response, const rpc::ServerCall& call) {
        return Allocate(request, response, call);
      });
  server.Unary<v1beta1::PreStartContainerRequest, v1beta1::PreStartContainerResponse>(
      service + "PreStartContainer",
      [this](const auto& request, auto*, const rpc::ServerCall&) { return PreStartContainer(request); });
}

rpc::Outcome PluginService::ListAndWatch(rpc::Writer<v1beta1::ListAndWatchResponse>& writer) {
  auto devices = table_.Get();
  std::string last;
  bool first = true;
  while (!stopping_ && !writer.cancelled()) {
    const auto response = DeviceList(*devices);
    const std::string bytes = response.SerializeAsString();
    if (bytes.size() > kMaxList) {
      const Error error = Err("plugin.list-too-large", std::to_string(devices->gpus.size()) + " GPUs",
                              "take " + std::to_string(bytes.size()) + " bytes to list; a kubelet reads at most " +
                                  std::to_string(kMaxList) + ", so none can be advertised");
      log::Error("cannot list the GPUs", {{"why", error.ToString()}});
      return Refuse(rpc::Code::kResourceExhausted, error);
    }
    // The table also changes for state and holder, which the kubelet does not see.
    if (first || bytes != last) {
      if (!writer.Write(response)) break;
      last = bytes;
      first = false;
    }
    devices = table_.WaitChange(devices->version, kNoticeCancel);
  }
  if (!stopping_ && options_.on_stream_lost) options_.on_stream_lost();
  return rpc::Outcome::Ok();
}

rpc::Outcome PluginService::GetPreferredAllocation(const v1beta1::PreferredAllocationRequest& request,
                                                   v1beta1::PreferredAllocationResponse* response) {
  const auto devices = table_.Get();
  for (const auto& one : request.container_requests()) {
    auto chosen = PreferredDevices(*devices, {one.available_deviceids().begin(), one.available_deviceids().end()},
                                   {one.must_include_deviceids().begin(), one.must_include_deviceids().end()},
                                   one.allocation_size());
    if (!chosen.ok()) return Refuse(rpc::Code::kInvalidArgument, chosen.error());
    auto* answer = response->add_container_responses();
    for (auto& id : *chosen) answer->add_deviceids(std::move(id));
  }
  return rpc::Outcome::Ok();
}

rpc::Outcome PluginService::Allocate(const v1beta1::AllocateRequest& request, v1beta1::AllocateResponse* response,
                                     const rpc::ServerCall& call) {
  const auto start = std::chrono::steady_clock::now();
  rpc::Outcome status = rpc::Outcome::Ok();
  if (request.container_requests().empty()) {
    status = Refuse(rpc::Code::kInvalidArgument,
                    Err("plugin.bad-request", "container_requests", "is empty; nothing to allocate"));
  }
  std::set<std::string> seen;
  for (const auto& one : request.container_requests()) {
    for (const auto& id : one.devices_ids()) {
      if (status.ok() && !seen.insert(id).second) {
        status = Refuse(rpc::Code::kInvalidArgument, Err("plugin.bad-request", id, "stands twice in one request"));
      }
    }
  }
  for (const auto& one : request.container_requests()) {
    if (!status.ok()) break;
    status = AllocateOne(one, response->add_container_responses(), call);
  }
  (status.ok() ? metrics_.allocations_ok : metrics_.allocations_refused)++;
  metrics_.ObserveAllocate(std::chrono::steady_clock::now() - start);
  if (!status.ok()) {
    response->Clear();
    log::Warning("refused an allocation", {{"why", status.message}});
  }
  return status;
}

rpc::Outcome PluginService::AllocateOne(const v1beta1::ContainerAllocateRequest& request,
                                        v1beta1::ContainerAllocateResponse* response, const rpc::ServerCall& call) {
  if (request.devices_ids().empty()) {
    return Refuse(rpc::Code::kInvalidArgument, Err("plugin.bad-request", "devices_ids", "is empty"));
  }
  const auto deadline = std::chrono::steady_clock::now() + options_.allocate_deadline;
  std::string visible;
  for (const auto& id : request.devices_ids()) {
    auto devices = table_.Get();
    for (;;) {
      const GpuView* gpu = devices->Find(id);
      if (gpu == nullptr) {
        return Refuse(rpc::Code::kInvalidArgument, Err("plugin.unknown-device", id, "is not a GPU of this node"));
      }
      if (!gpu->healthy) return Refuse(rpc::Code::kFailedPrecondition, Unhealthy(*gpu));
      if (gpu->sandbox_id.empty()) break;
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || stopping_ || call.cancelled()) {
        return Refuse(
            rpc::Code::kFailedPrecondition,
            Err("plugin.device-held", id, "is still held by sandbox " + gpu->sandbox_id + "; remove that pod first"));
      }
      devices = table_.WaitChange(devices->version, std::min(left, std::chrono::milliseconds(200)));
    }
    visible += (visible.empty() ? "" : ",") + id;
    (*response->mutable_annotations())[CdiAnnotationKey(id)] = CdiName(id);
    response->add_cdi_devices()->set_name(CdiName(id));
  }
  (*response->mutable_envs())["CCGPU_VISIBLE_DEVICES"] = visible;
  return rpc::Outcome::Ok();
}

rpc::Outcome PluginService::PreStartContainer(const v1beta1::PreStartContainerRequest& request) {
  const auto devices = table_.Get();
  for (const auto& id : request.devices_ids()) {
    const GpuView* gpu = devices->Find(id);
    if (gpu == nullptr) {
      return Refuse(rpc::Code::kInvalidArgument, Err("plugin.unknown-device", id, "is not a GPU of this node"));
    }
    if (!gpu->healthy) return Refuse(rpc::Code::kFailedPrecondition, Unhealthy(*gpu));
  }
  return rpc::Outcome::Ok();
}

}  // namespace ccgpu::deviceplugin
