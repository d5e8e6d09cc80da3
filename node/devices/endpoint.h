// One registered device plugin: its ListAndWatch stream, and the calls to it. The stream is opened once; when it ends,
// the plugin is gone until it registers again (the kubelet's rule).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "device-plugin/api/v1beta1.pb.h"

namespace ccgpu::node {

struct PluginDevice {
  std::string id;
  bool healthy = false;
  std::vector<int64_t> numa_nodes;
};

class Endpoint {
 public:
  // Called from the endpoint's own thread: with every list, and once with nullptr when the stream has ended.
  using OnDevices = std::function<void(const std::vector<PluginDevice>*)>;

  // Connects and asks for the plugin's options ("node.plugin-unreachable" when that fails within 10 s).
  static Result<std::shared_ptr<Endpoint>> Connect(const std::string& resource, const std::string& socket);
  ~Endpoint();
  void Watch(OnDevices on_devices);  // once
  void Stop();                       // ends the stream; returns when the thread is done. Not from OnDevices.

  const std::string& socket() const { return socket_; }
  // All with deadlines of their own. Errors keep the plugin's reason code where it gave one.
  Result<std::vector<std::string>> Preferred(const std::vector<std::string>& available,
                                             const std::vector<std::string>& must,
                                             int size);  // empty when the plugin has no opinion
  Result<v1beta1::ContainerAllocateResponse> Allocate(const std::vector<std::string>& ids);
  Status PreStart(const std::vector<std::string>& ids);

 private:
  struct Impl;
  Endpoint(std::string resource, std::string socket);
  std::string resource_, socket_;
  v1beta1::DevicePluginOptions options_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::node
