// The two sockets that a kubelet serves on its node: device-plugins/kubelet.sock (Registration) and
// pod-resources/kubelet.sock (PodResourcesLister).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "node/devices/device_manager.h"

namespace ccgpu::node {

class KubeletServer {
 public:
  // Sockets that are left in the device-plugins folder are removed first, as the kubelet does: it tells running plugins
  // to come again. The manager must outlive it. Fails with "node.socket" when a socket cannot be made or another
  // kubelet serves it.
  static Result<std::unique_ptr<KubeletServer>> Start(const std::string& device_plugin_dir,
                                                      const std::string& pod_resources_dir, DeviceManager& manager);
  ~KubeletServer();  // sockets are gone

 private:
  struct Impl;
  explicit KubeletServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::node
