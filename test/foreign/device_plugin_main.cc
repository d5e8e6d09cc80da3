// Another device plugin, good or bad, beside ours: registers at a kubelet with gRPC's own library and does as it is
// told.
//   foreign-device-plugin FOLDER RESOURCE good|no-options|list-ends|list-garbage|refuses DEVICE...
// Prints one line, "registered" or "refused: " and the kubelet's words, and serves until its standard input ends.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "device-plugin/api/v1beta1.grpc.pb.h"

namespace ccgpu {
namespace {

constexpr char kEndpoint[] = "foreign.sock";

// The list goes out as bytes, so that it may be something else than a list.
class Plugin final : public v1beta1::DevicePlugin::WithRawCallbackMethod_ListAndWatch<v1beta1::DevicePlugin::Service> {
 public:
  Plugin(std::string manner, std::vector<std::string> devices)
      : manner_(std::move(manner)), devices_(std::move(devices)) {}

  grpc::Status GetDevicePluginOptions(grpc::ServerContext*, const v1beta1::Empty*,
                                      v1beta1::DevicePluginOptions*) override {
    if (manner_ == "no-options") return {grpc::StatusCode::INTERNAL, "this plugin has no options"};
    return grpc::Status::OK;
  }

  grpc::ServerWriteReactor<grpc::ByteBuffer>* ListAndWatch(grpc::CallbackServerContext*,
                                                           const grpc::ByteBuffer*) override {
    return new List(*this);
  }

  grpc::Status Allocate(grpc::ServerContext*, const v1beta1::AllocateRequest* request,
                        v1beta1::AllocateResponse* response) override {
    if (manner_ == "refuses") return {grpc::StatusCode::FAILED_PRECONDITION, "this plugin gives nothing away"};
    for (int i = 0; i < request->container_requests_size(); ++i) response->add_container_responses();
    return grpc::Status::OK;
  }

 private:
  // One stream: the list, and then nothing until the kubelet or we go.
  class List final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
   public:
    explicit List(const Plugin& plugin) {
      if (plugin.manner_ == "list-ends") {
        Finish({grpc::StatusCode::INTERNAL, "this plugin lists nothing"});
        return;
      }
      v1beta1::ListAndWatchResponse list;
      for (const auto& id : plugin.devices_) {
        auto* device = list.add_devices();
        device->set_id(id);
        device->set_health("Healthy");
      }
      const grpc::Slice slice(plugin.manner_ == "list-garbage" ? std::string(64, '\xff') : list.SerializeAsString());
      bytes_ = grpc::ByteBuffer(&slice, 1);
      StartWrite(&bytes_);
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer bytes_;
  };

  const std::string manner_;
  const std::vector<std::string> devices_;
};

grpc::Status Register(const std::string& folder, const std::string& resource) {
  auto kubelet = v1beta1::Registration::NewStub(
      grpc::CreateChannel("unix:" + folder + "/kubelet.sock", grpc::InsecureChannelCredentials()));
  v1beta1::RegisterRequest request;
  request.set_version("v1beta1");
  request.set_endpoint(kEndpoint);
  request.set_resource_name(resource);
  v1beta1::Empty answer;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return kubelet->Register(&context, request, &answer);
}

int Run(const std::string& folder, const std::string& resource, const std::string& manner,
        std::vector<std::string> devices) {
  Plugin plugin(manner, std::move(devices));
  const std::string socket = folder + "/" + kEndpoint;
  ::unlink(socket.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&plugin);
  auto server = builder.BuildAndStart();
  if (server == nullptr) return std::cout << "refused: cannot serve " << socket << std::endl, 1;
  const grpc::Status status = Register(folder, resource);
  std::cout << (status.ok() ? "registered" : "refused: " + status.error_message()) << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) {
  if (argc < 4) return std::cerr << "foreign-device-plugin FOLDER RESOURCE MANNER DEVICE...\n", 2;
  return ccgpu::Run(argv[1], argv[2], argv[3], {argv + 4, argv + argc});
}
