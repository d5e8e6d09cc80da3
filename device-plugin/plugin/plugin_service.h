// The v1beta1.DevicePlugin service over a DeviceTable.
//
// Strict: an id that is not ours is INVALID_ARGUMENT; one that is unhealthy, or still held by another sandbox when our
// own deadline ends, is FAILED_PRECONDITION. Allocate changes nothing, so the same call gives the same answer.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "base/rpc/server.h"
#include "device-plugin/api/v1beta1.pb.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

struct ServiceOptions {
  // A GPU of a pod that just ended may still be scrubbed; Allocate waits for it at most this long. The kubelet itself
  // has no limit, so ours must be far below what a person waits for.
  std::chrono::milliseconds allocate_deadline{5000};
  // Told when the kubelet ends a ListAndWatch of ours: it never opens another one by itself. Any thread.
  std::function<void()> on_stream_lost = nullptr;
};

// Table and metrics must outlive it. Any thread.
class PluginService {
 public:
  PluginService(DeviceTable& table, Metrics& metrics, ServiceOptions options = {});
  // Its methods, before the server serves; it must outlive the server.
  void RegisterWith(rpc::Server& server);
  // Ends every ListAndWatch stream; call before the server's Stop.
  void Stop();

 private:
  rpc::Outcome ListAndWatch(rpc::Writer<v1beta1::ListAndWatchResponse>& writer);
  rpc::Outcome GetPreferredAllocation(const v1beta1::PreferredAllocationRequest& request,
                                      v1beta1::PreferredAllocationResponse* response);
  rpc::Outcome Allocate(const v1beta1::AllocateRequest& request, v1beta1::AllocateResponse* response,
                        const rpc::ServerCall& call);
  rpc::Outcome AllocateOne(const v1beta1::ContainerAllocateRequest& request,
                           v1beta1::ContainerAllocateResponse* response, const rpc::ServerCall& call);
  rpc::Outcome PreStartContainer(const v1beta1::PreStartContainerRequest& request);

  DeviceTable& table_;
  Metrics& metrics_;
  ServiceOptions options_;
  std::atomic<bool> stopping_{false};
};

// The options that are told at registration too.
v1beta1::DevicePluginOptions PluginOptions();

}  // namespace ccgpu::deviceplugin
