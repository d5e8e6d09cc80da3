#include "node-installer/runtime.h"

#include <grpcpp/grpcpp.h>

#include <thread>

#include "base/json.h"
#include "node-installer/commands.h"
#include "node-installer/containerd_config.h"
#include "node/cri/cri.grpc.pb.h"

namespace ccgpu::installer {
namespace {

namespace cri = ::runtime::v1;

constexpr std::chrono::seconds kCall{10}, kRestart{120}, kLog{10};
constexpr std::chrono::milliseconds kPause{100};

Error CallError(const char* call, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return Err("installer.containerd-unreachable", call, "containerd does not answer: " + status.error_message());
  return Err("installer.containerd", call, status.error_message());
}

class CriRuntime final : public Runtime {
 public:
  explicit CriRuntime(RuntimeOptions options) : options_(std::move(options)) {}

  Result<RuntimeFacts> Facts() override {
    const auto stub = Stub();
    RuntimeFacts facts;
    {
      grpc::ClientContext context;
      cri::VersionResponse response;
      SetDeadline(context);
      const auto status = stub->Version(&context, {}, &response);
      if (!status.ok()) return CallError("Version", status);
      facts.version = response.runtime_version();
      facts.major = MajorOf(facts.version);
      if (response.runtime_name() != "containerd" || facts.major == 0) {
        return Err("installer.containerd", options_.socket,
                   "expected containerd 1.6 or later, found " + response.runtime_name() + " " + facts.version);
      }
    }
    grpc::ClientContext context;
    cri::StatusRequest request;
    cri::StatusResponse response;
    request.set_verbose(true);
    SetDeadline(context);
    const auto status = stub->Status(&context, request, &response);
    if (!status.ok()) return CallError("Status", status);
    const auto config = response.info().find("config");
    facts.knows_handler = config != response.info().end() && StatusNamesHandler(config->second);
    return facts;
  }

  Result<std::vector<std::string>> RunningPods() override {
    grpc::ClientContext context;
    cri::ListPodSandboxResponse response;
    SetDeadline(context);
    const auto status = Stub()->ListPodSandbox(&context, {}, &response);
    if (!status.ok()) return CallError("ListPodSandbox", status);
    std::vector<std::string> names;
    for (const auto& sandbox : response.items()) {
      if (sandbox.runtime_handler() == kHandler && sandbox.state() == cri::SANDBOX_READY)
        names.push_back(sandbox.metadata().namespace_() + "/" + sandbox.metadata().name());
    }
    return names;
  }

  Status Restart() override {
    ASSIGN_OR_RETURN(const Output output, RunCommand(options_.restart_command, options_.on_host, kRestart));
    if (output.exit_code == 0) return Ok();
    return Err("installer.restart-failed", options_.restart_command,
               "ended with " + std::to_string(output.exit_code) + ": " + output.text);
  }

  std::string LastLogLines() override {
    if (options_.log_command.empty()) return "";
    const auto output = RunCommand(options_.log_command, options_.on_host, kLog);
    return output.ok() ? output->text : "";
  }

  void Pause(std::chrono::milliseconds time) override { std::this_thread::sleep_for(time); }

 private:
  // A new channel each time: gRPC would wait longer and longer before it tries a socket again that was gone.
  std::unique_ptr<cri::RuntimeService::Stub> Stub() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return cri::RuntimeService::NewStub(
        grpc::CreateCustomChannel("unix:" + options_.socket, grpc::InsecureChannelCredentials(), arguments));
  }
  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + kCall);
  }
  const RuntimeOptions options_;
};

}  // namespace

std::unique_ptr<Runtime> MakeRuntime(const RuntimeOptions& options) { return std::make_unique<CriRuntime>(options); }

int MajorOf(const std::string& version) {
  size_t at = version.starts_with('v') ? 1 : 0;
  int major = 0;
  const size_t begin = at;
  while (at < version.size() && at < begin + 4 && version[at] >= '0' && version[at] <= '9')
    major = major * 10 + (version[at++] - '0');
  return at > begin && at < version.size() && version[at] == '.' ? major : 0;
}

bool StatusNamesHandler(const std::string& config_json) {
  const auto config = ParseJson(config_json, "CRI status");
  if (!config.ok()) return false;
  const Json* at = &*config;
  for (const char* key : {"containerd", "runtimes", kHandler}) {
    if (!at->is_object() || !at->contains(key)) return false;
    at = &(*at)[key];
  }
  return true;
}

Result<RuntimeFacts> AwaitRuntime(Runtime& runtime, std::optional<bool> known, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto facts = runtime.Facts();
    if (facts.ok() && facts->knows_handler == known.value_or(facts->knows_handler)) return facts;
    if (std::chrono::steady_clock::now() >= end) {
      if (!facts.ok()) return facts.error();
      return Err("installer.handler-unknown", kHandler,
                 known.value_or(true)
                     ? "containerd runs, but its configuration does not have the handler; does it read another file "
                       "(--containerd-config)?"
                     : "containerd runs and still has the handler; another file of its configuration names it");
    }
    runtime.Pause(kPause);
  }
}

}  // namespace ccgpu::installer
