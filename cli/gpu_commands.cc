#include "cli/gpu_commands.h"

#include <grpcpp/grpcpp.h>

#include "base/json.h"
#include "cli/table.h"
#include "gpu-emulator/api/control.grpc.pb.h"
#include "node/cri/refusal.h"

namespace ccgpu::cli {
namespace {

using emulator::v1::Control;
using emulator::v1::Gpu;

std::unique_ptr<Control::Stub> Connect(const Context& context) {
  return Control::NewStub(
      grpc::CreateChannel("unix:" + context.layout.EmulatorSocket(), grpc::InsecureChannelCredentials()));
}

Error CallError(const Context& context, const grpc::Status& status) {
  if (auto reason = node::FindReason(status.error_message())) return *reason;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return Err("cli.unavailable", context.layout.EmulatorSocket(),
               "ccgpu-emulator does not answer there: run `ccgpu up`, or name the deployment with --state");
  }
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT)
    return Err("cli.bad-request", "", status.error_message());
  return Err("cli.call-failed", "ccgpu-emulator", status.error_message());
}

Json ToJson(const Gpu& gpu) {
  return {{"index", gpu.index()},
          {"uuid", gpu.uuid()},
          {"model", gpu.model()},
          {"profile", gpu.profile()},
          {"architecture", gpu.architecture()},
          {"mode", gpu.mode()},
          {"modes", std::vector<std::string>(gpu.modes().begin(), gpu.modes().end())},
          {"state", gpu.state()},
          {"healthy", gpu.healthy()},
          {"health_reason", gpu.health_reason()},
          {"sandbox_id", gpu.sandbox_id()},
          {"numa_node", gpu.numa_node()},
          {"memory_bytes", gpu.memory_bytes()},
          {"driver_version", gpu.driver_version()},
          {"vbios_version", gpu.vbios_version()},
          {"fault", gpu.fault()}};
}

void Print(Context& context, const std::vector<Gpu>& gpus) {
  if (context.json) {
    Json list = Json::array();
    for (const Gpu& gpu : gpus) list.push_back(ToJson(gpu));
    context.out << list.dump(2) << "\n";
    return;
  }
  Table table({"GPU", "UUID", "MODEL", "MODE", "STATE", "HEALTH", "FAULT", "SANDBOX"});
  for (const Gpu& gpu : gpus) {
    table.Add({std::to_string(gpu.index()), gpu.uuid(), gpu.model(), gpu.mode(), gpu.state(),
               gpu.healthy()                 ? "healthy"
               : gpu.health_reason().empty() ? "unhealthy"
                                             : gpu.health_reason(),
               gpu.fault(), gpu.sandbox_id().substr(0, 12)});
  }
  table.Print(context.out);
}

Result<uint32_t> Index(const Context& context, Control::Stub& control, const std::string& which) {
  if (!which.empty() && which.size() < 6 && which.find_first_not_of("0123456789") == std::string::npos)
    return static_cast<uint32_t>(std::stoul(which));
  grpc::ClientContext call;
  emulator::v1::ListGpusResponse response;
  if (auto status = control.ListGpus(&call, {}, &response); !status.ok()) return CallError(context, status);
  for (const Gpu& gpu : response.gpus()) {
    if (gpu.uuid() == which) return gpu.index();
  }
  return Err("cli.bad-gpu", which, "no GPU has this index or UUID (`ccgpu gpu list`)");
}

template <class Call>
int Change(Context& context, const std::string& which, Call call) {
  auto control = Connect(context);
  auto index = Index(context, *control, which);
  if (!index.ok()) return Report(context, index.error());
  grpc::ClientContext rpc;
  Gpu gpu;
  const grpc::Status status = call(*control, rpc, *index, gpu);
  if (!status.ok()) return Report(context, CallError(context, status));
  Print(context, {gpu});
  return kOk;
}

}  // namespace

int ListGpus(Context& context) {
  grpc::ClientContext call;
  emulator::v1::ListGpusResponse response;
  if (auto status = Connect(context)->ListGpus(&call, {}, &response); !status.ok())
    return Report(context, CallError(context, status));
  Print(context, {response.gpus().begin(), response.gpus().end()});
  return kOk;
}

int SetGpuMode(Context& context, const std::string& which, const std::string& mode) {
  return Change(context, which, [&](Control::Stub& control, grpc::ClientContext& rpc, uint32_t index, Gpu& gpu) {
    emulator::v1::SetModeRequest request;
    request.set_index(index);
    request.set_mode(mode);
    return control.SetMode(&rpc, request, &gpu);
  });
}

int InjectGpuFault(Context& context, const std::string& which, const std::string& fault) {
  return Change(context, which, [&](Control::Stub& control, grpc::ClientContext& rpc, uint32_t index, Gpu& gpu) {
    emulator::v1::InjectFaultRequest request;
    request.set_index(index);
    request.set_fault(fault);
    return control.InjectFault(&rpc, request, &gpu);
  });
}

int ResetGpu(Context& context, const std::string& which) {
  return Change(context, which, [&](Control::Stub& control, grpc::ClientContext& rpc, uint32_t index, Gpu& gpu) {
    emulator::v1::ResetGpuRequest request;
    request.set_index(index);
    return control.ResetGpu(&rpc, request, &gpu);
  });
}

}  // namespace ccgpu::cli
