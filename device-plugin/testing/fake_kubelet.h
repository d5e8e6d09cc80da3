// A kubelet's device manager as far as a plugin sees it: wipes sockets at start, takes registrations, opens
// ListAndWatch once for each, and answers PodResources from what a test says.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device-plugin/api/podresources.grpc.pb.h"
#include "device-plugin/api/v1beta1.grpc.pb.h"

namespace ccgpu::deviceplugin {

class FakeKubelet final : public v1beta1::Registration::Service {
 public:
  // Serves <dir>/kubelet.sock; `wipe`: removes all sockets there first, as the real one does.
  explicit FakeKubelet(const std::string& dir, bool wipe = true);
  ~FakeKubelet() override;
  void RefuseNext(int count);  // registrations that fail
  int registrations() const;
  v1beta1::RegisterRequest last() const;
  // The device list that the last registered plugin sent last.
  std::vector<v1beta1::Device> devices() const;
  bool stream_open() const;
  void EndStream();  // of the last registered plugin, as kubelets up to 1.35 do when another instance's ends
  v1beta1::DevicePlugin::Stub& plugin();
  int Count(const std::string& health) const;

  grpc::Status Register(grpc::ServerContext*, const v1beta1::RegisterRequest*, v1beta1::Empty*) override;

 private:
  struct Plugin;
  std::string dir_;
  mutable std::mutex mutex_;
  int registrations_ = 0, refuse_ = 0;
  v1beta1::RegisterRequest last_;
  std::vector<std::shared_ptr<Plugin>> plugins_;
  std::unique_ptr<grpc::Server> server_;
};

class FakePodResources final : public ::v1::PodResourcesLister::Service {
 public:
  explicit FakePodResources(const std::string& socket);
  ~FakePodResources() override;
  bool get_enabled = true;
  int gets = 0, lists = 0;
  std::vector<::v1::PodResources> pods;
  grpc::Status List(grpc::ServerContext*, const ::v1::ListPodResourcesRequest*,
                    ::v1::ListPodResourcesResponse*) override;
  grpc::Status Get(grpc::ServerContext*, const ::v1::GetPodResourcesRequest*, ::v1::GetPodResourcesResponse*) override;
  // The devices that GetAllocatableResources tells, until the next call.
  void Knows(std::vector<std::string> ids);
  int asked() const;  // how often it was called
  grpc::Status GetAllocatableResources(grpc::ServerContext*, const ::v1::AllocatableResourcesRequest*,
                                       ::v1::AllocatableResourcesResponse*) override;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> known_;
  int asked_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace ccgpu::deviceplugin
