#include "node/devices/endpoint.h"

#include <grpcpp/grpcpp.h>

#include "device-plugin/api/v1beta1.grpc.pb.h"

namespace ccgpu::node {
namespace {

using std::chrono::seconds;

void SetDeadline(grpc::ClientContext& context, seconds limit) {
  context.set_deadline(std::chrono::system_clock::now() + limit);
}

Error PluginError(Reason fallback, const std::string& subject, const grpc::Status& status) {
  const std::string& message = status.error_message();
  const size_t open = message.rfind('['), close = message.rfind(']');
  if (open != std::string::npos && close == message.size() - 1 && close > open + 1) {
    const size_t colon = message.find(": ");
    const bool has_subject = colon != std::string::npos && colon < open;
    return Error::FromWire(
        message.substr(open + 1, close - open - 1), has_subject ? message.substr(0, colon) : subject,
        message.substr(has_subject ? colon + 2 : 0, open - (has_subject ? colon + 2 : 0) - (open > 0)));
  }
  return Err(fallback, subject, "the device plugin says: " + message);
}

}  // namespace

struct Endpoint::Impl {
  std::unique_ptr<v1beta1::DevicePlugin::Stub> stub;
  grpc::ClientContext stream;
  std::thread thread;
};

Endpoint::Endpoint(std::string resource, std::string socket)
    : resource_(std::move(resource)), socket_(std::move(socket)), impl_(std::make_unique<Impl>()) {}

Endpoint::~Endpoint() { Stop(); }

Result<std::shared_ptr<Endpoint>> Endpoint::Connect(const std::string& resource, const std::string& socket) {
  std::shared_ptr<Endpoint> endpoint(new Endpoint(resource, socket));
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  endpoint->impl_->stub = v1beta1::DevicePlugin::NewStub(
      grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), args));
  grpc::ClientContext context;
  SetDeadline(context, seconds(10));
  const auto status = endpoint->impl_->stub->GetDevicePluginOptions(&context, {}, &endpoint->options_);
  if (!status.ok()) {
    return Err("node.plugin-unreachable", socket, "failed to get device plugin options: " + status.error_message());
  }
  return endpoint;
}

void Endpoint::Watch(OnDevices on_devices) {
  impl_->thread = std::thread([this, on_devices = std::move(on_devices)] {
    auto reader = impl_->stub->ListAndWatch(&impl_->stream, {});
    v1beta1::ListAndWatchResponse message;
    while (reader->Read(&message)) {
      std::vector<PluginDevice> devices;
      for (const auto& device : message.devices()) {
        PluginDevice one{device.id(), device.health() == "Healthy", {}};
        for (const auto& node : device.topology().nodes()) one.numa_nodes.push_back(node.id());
        devices.push_back(std::move(one));
      }
      on_devices(&devices);
    }
    (void)reader->Finish();
    on_devices(nullptr);
  });
}

void Endpoint::Stop() {
  impl_->stream.TryCancel();
  if (impl_->thread.joinable()) impl_->thread.join();
}

Result<std::vector<std::string>> Endpoint::Preferred(const std::vector<std::string>& available,
                                                     const std::vector<std::string>& must, int size) {
  if (!options_.get_preferred_allocation_available()) return std::vector<std::string>();
  v1beta1::PreferredAllocationRequest request;
  auto* one = request.add_container_requests();
  for (const auto& id : available) one->add_available_deviceids(id);
  for (const auto& id : must) one->add_must_include_deviceids(id);
  one->set_allocation_size(size);
  grpc::ClientContext context;
  SetDeadline(context, seconds(5));
  v1beta1::PreferredAllocationResponse response;
  const auto status = impl_->stub->GetPreferredAllocation(&context, request, &response);
  if (!status.ok()) return PluginError("node.allocate-failed", resource_, status);
  if (response.container_responses().empty()) return std::vector<std::string>();
  const auto& ids = response.container_responses(0).deviceids();
  return std::vector<std::string>(ids.begin(), ids.end());
}

Result<v1beta1::ContainerAllocateResponse> Endpoint::Allocate(const std::vector<std::string>& ids) {
  v1beta1::AllocateRequest request;
  auto* one = request.add_container_requests();
  for (const auto& id : ids) one->add_devices_ids(id);
  grpc::ClientContext context;
  SetDeadline(context, seconds(20));
  v1beta1::AllocateResponse response;
  const auto status = impl_->stub->Allocate(&context, request, &response);
  if (!status.ok()) return PluginError("node.allocate-failed", resource_, status);
  if (response.container_responses().size() != 1) {
    return Err("node.allocate-failed", resource_,
               "the device plugin answered for " + std::to_string(response.container_responses().size()) +
                   " containers instead of one");
  }
  return response.container_responses(0);
}

Status Endpoint::PreStart(const std::vector<std::string>& ids) {
  if (!options_.pre_start_required()) return Ok();
  v1beta1::PreStartContainerRequest request;
  for (const auto& id : ids) request.add_devices_ids(id);
  grpc::ClientContext context;
  SetDeadline(context, seconds(30));
  v1beta1::PreStartContainerResponse response;
  const auto status = impl_->stub->PreStartContainer(&context, request, &response);
  if (!status.ok()) return PluginError("node.prestart-failed", resource_, status);
  return Ok();
}

}  // namespace ccgpu::node
