// Answers shims: which GPUs did the kubelet give to this pod? The truth is asked at PodResources each time and never
// kept here.
//
// ttrpc service ccgpu.deviceplugin.v1.Resolver (device-plugin/api/resolver.proto) on resolver.sock.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "device-plugin/api/resolver.pb.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

class Resolver {
 public:
  // `pod_resources`: path of the kubelet's pod-resources socket. Table and metrics must outlive it.
  Resolver(std::string pod_resources, std::string resource_name, const DeviceTable& table, Metrics& metrics);
  ~Resolver();  // stops serving
  // PodResources Get; any failure of it (old kubelet, switched off) falls back to List. A pod that is not known or
  // holds no GPU gives an answer without containers. Fails with "plugin.pod-resources-unavailable" when nobody answers.
  // Any thread.
  Result<v1::PodGpusResponse> PodGpus(const std::string& name, const std::string& pod_namespace) const;
  // Serves resolver.sock (0600, peers of the same user only); takes it over from an instance that still runs, since two
  // overlap during an upgrade.
  Status Serve(const std::string& socket);

 private:
  struct Server;
  std::string pod_resources_, resource_name_;
  const DeviceTable& table_;
  Metrics& metrics_;
  std::unique_ptr<Server> server_;
};

}  // namespace ccgpu::deviceplugin
