#include "device-plugin/testing/fake_kubelet.h"

#include <unistd.h>

#include <filesystem>

namespace ccgpu::deviceplugin {

struct FakeKubelet::Plugin {
  std::unique_ptr<v1beta1::DevicePlugin::Stub> stub;
  grpc::ClientContext context;
  std::thread thread;
  std::vector<v1beta1::Device> devices;
  bool open = true;
};

FakeKubelet::FakeKubelet(const std::string& dir, bool wipe) : dir_(dir) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ignored)) {
    if (wipe && entry.is_socket(ignored)) ::unlink(entry.path().c_str());
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + dir + "/kubelet.sock", grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeKubelet::~FakeKubelet() {
  server_->Shutdown(std::chrono::system_clock::now());
  ::unlink((dir_ + "/kubelet.sock").c_str());
  for (auto& plugin : plugins_) {
    plugin->context.TryCancel();
    plugin->thread.join();
  }
}

void FakeKubelet::RefuseNext(int count) {
  std::lock_guard lock(mutex_);
  refuse_ = count;
}

int FakeKubelet::registrations() const {
  std::lock_guard lock(mutex_);
  return registrations_;
}

v1beta1::RegisterRequest FakeKubelet::last() const {
  std::lock_guard lock(mutex_);
  return last_;
}

std::vector<v1beta1::Device> FakeKubelet::devices() const {
  std::lock_guard lock(mutex_);
  return plugins_.empty() ? std::vector<v1beta1::Device>() : plugins_.back()->devices;
}

bool FakeKubelet::stream_open() const {
  std::lock_guard lock(mutex_);
  return !plugins_.empty() && plugins_.back()->open;
}

void FakeKubelet::EndStream() {
  std::lock_guard lock(mutex_);
  if (!plugins_.empty()) plugins_.back()->context.TryCancel();
}

int FakeKubelet::Count(const std::string& health) const {
  int count = 0;
  for (const auto& device : devices()) count += device.health() == health;
  return count;
}

v1beta1::DevicePlugin::Stub& FakeKubelet::plugin() {
  std::lock_guard lock(mutex_);
  return *plugins_.back()->stub;
}

grpc::Status FakeKubelet::Register(grpc::ServerContext*, const v1beta1::RegisterRequest* request, v1beta1::Empty*) {
  std::lock_guard lock(mutex_);
  if (refuse_ > 0) {
    refuse_--;
    return {grpc::StatusCode::UNAVAILABLE, "not yet"};
  }
  last_ = *request;
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto plugin = std::make_shared<Plugin>();
  plugin->stub = v1beta1::DevicePlugin::NewStub(
      grpc::CreateCustomChannel("unix:" + dir_ + "/" + request->endpoint(), grpc::InsecureChannelCredentials(), args));
  grpc::ClientContext context;
  v1beta1::DevicePluginOptions options;
  const auto status = plugin->stub->GetDevicePluginOptions(&context, {}, &options);
  if (!status.ok())
    return {grpc::StatusCode::UNKNOWN, "failed to get device plugin options: " + status.error_message()};
  plugin->thread = std::thread([this, plugin] {
    auto reader = plugin->stub->ListAndWatch(&plugin->context, {});
    v1beta1::ListAndWatchResponse message;
    while (reader->Read(&message)) {
      std::lock_guard inner(mutex_);
      plugin->devices.assign(message.devices().begin(), message.devices().end());
    }
    (void)reader->Finish();
    std::lock_guard inner(mutex_);
    plugin->open = false;
  });
  plugins_.push_back(plugin);
  registrations_++;
  return grpc::Status::OK;
}

FakePodResources::FakePodResources(const std::string& socket) {
  ::unlink(socket.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakePodResources::~FakePodResources() { server_->Shutdown(std::chrono::system_clock::now()); }

grpc::Status FakePodResources::List(grpc::ServerContext*, const ::v1::ListPodResourcesRequest*,
                                    ::v1::ListPodResourcesResponse* response) {
  lists++;
  for (const auto& pod : pods) *response->add_pod_resources() = pod;
  return grpc::Status::OK;
}

grpc::Status FakePodResources::Get(grpc::ServerContext*, const ::v1::GetPodResourcesRequest* request,
                                   ::v1::GetPodResourcesResponse* response) {
  gets++;
  if (!get_enabled) return {grpc::StatusCode::UNKNOWN, "PodResources API Get method disabled"};
  for (const auto& pod : pods) {
    if (pod.name() == request->pod_name() && pod.namespace_() == request->pod_namespace())
      *response->mutable_pod_resources() = pod;
  }
  return response->has_pod_resources() ? grpc::Status::OK : grpc::Status(grpc::StatusCode::NOT_FOUND, "no such pod");
}

void FakePodResources::Knows(std::vector<std::string> ids) {
  std::lock_guard lock(mutex_);
  known_ = std::move(ids);
}

int FakePodResources::asked() const {
  std::lock_guard lock(mutex_);
  return asked_;
}

grpc::Status FakePodResources::GetAllocatableResources(grpc::ServerContext*, const ::v1::AllocatableResourcesRequest*,
                                                       ::v1::AllocatableResourcesResponse* response) {
  std::lock_guard lock(mutex_);
  asked_++;
  for (const auto& id : known_) {  // an entry each, as kubelet's per NUMA node, and one of somebody else
    auto* devices = response->add_devices();
    devices->set_resource_name("ccgpu.dev/cc-gpu");
    devices->add_device_ids(id);
  }
  response->add_devices()->set_resource_name("example.com/thing");
  return grpc::Status::OK;
}

}  // namespace ccgpu::deviceplugin
