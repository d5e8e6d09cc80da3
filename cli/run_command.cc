// `ccgpu run`: the pod's logs and events as they come, then its result as the exit code.
#include <grpcpp/grpcpp.h>

#include <iterator>

#include "base/file.h"
#include "base/json.h"
#include "cli/node_client.h"
#include "cli/node_commands.h"

namespace ccgpu::cli {
namespace {

using node::v1::PodResult;

// In words and as an exit code; what this program does not know is a failure.
struct Ending {
  PodResult::Kind kind;
  const char* word;
  int code;
};
constexpr Ending kEndings[] = {
    {PodResult::SUCCEEDED, "succeeded", kOk}, {PodResult::RUNNING, "running", kOk},
    {PodResult::FAILED, "failed", kFailed},   {PodResult::REFUSED, "refused", kRefused},
    {PodResult::INVALID, "invalid", kUsage},  {PodResult::TIMED_OUT, "timed-out", kFailed},
};

Ending EndingOf(PodResult::Kind kind) {
  for (const Ending& one : kEndings) {
    if (one.kind == kind) return one;
  }
  return {kind, "unknown", kFailed};
}

void PrintLine(std::ostream& out, const Json& line) {
  out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

// The node ends each line's text or not, depending on how the container wrote it; we always do.
std::string OneLine(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

class Printer {
 public:
  Printer(Context& context, bool events) : context_(context), events_(events) {}

  void Event(const node::v1::Event& event) {
    if (context_.json) {
      PrintLine(context_.out, {{"type", "event"},
                               {"time", event.time()},
                               {"component", event.component()},
                               {"code", event.code()},
                               {"message", event.message()},
                               {"subject", event.subject()}});
    } else if (events_) {
      context_.err << "- " << event.component() << " " << event.code()
                   << (event.subject().empty() ? "" : " " + event.subject())
                   << (event.message().empty() ? "" : ": " + event.message()) << std::endl;
    }
  }

  void Log(const node::v1::LogLine& line) {
    if (context_.json) {
      PrintLine(context_.out, {{"type", "log"},
                               {"container", line.container()},
                               {"stream", line.stream()},
                               {"text", OneLine(line.text())}});
      return;
    }
    (line.stream() == "stderr" ? context_.err : context_.out) << OneLine(line.text()) << std::endl;
  }

  void Result(const PodResult& result) {
    if (context_.json) {
      Json line = {{"type", "result"},
                   {"result", EndingOf(result.kind()).word},
                   {"pod_id", result.pod_id()},
                   {"exit_codes", Json::object()}};
      for (const auto& [container, code] : result.exit_codes()) line["exit_codes"][container] = code;
      if (result.has_failure()) {
        line["code"] = result.failure().code();
        line["subject"] = result.failure().subject();
        line["text"] = result.failure().text();
      }
      PrintLine(context_.out, line);
      return;
    }
    if (result.has_failure()) {
      context_.err << EndingOf(result.kind()).word << "\n  code: " << result.failure().code()
                   << "\n  rule: " << result.failure().subject() << "\n  what: " << result.failure().text() << "\n";
    } else if (result.kind() != PodResult::SUCCEEDED) {
      context_.err << EndingOf(result.kind()).word << "\n";
    }
    for (const auto& [container, code] : result.exit_codes()) {
      if (code != 0 && result.kind() == PodResult::FAILED)
        context_.err << "container " << container << " exited with " << code << "\n";
    }
  }

 private:
  Context& context_;
  bool events_;
};

}  // namespace

int RunPod(Context& context, const RunOptions& options) {
  std::string manifest;
  if (options.manifest == "-") {
    manifest.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    auto text = ReadFile(options.manifest);
    if (!text.ok()) return Report(context, text.error(), kUsage);
    manifest = *text;
  }
  node::v1::RunPodRequest request;
  request.set_manifest(manifest);
  request.set_file_name(options.manifest == "-" ? "stdin" : options.manifest);
  request.set_timeout_seconds(options.timeout_seconds);
  request.set_detach(options.detach);
  request.set_keep(options.keep);
  grpc::ClientContext call;
  auto node = ConnectNode(context);
  auto stream = node->RunPod(&call, request);
  Printer printer(context, options.events);
  std::optional<PodResult> result;
  node::v1::RunPodResponse message;
  while (stream->Read(&message)) {
    if (message.has_event()) printer.Event(message.event());
    if (message.has_log()) printer.Log(message.log());
    if (message.has_result()) result = message.result();
  }
  const grpc::Status status = stream->Finish();
  if (result) {
    printer.Result(*result);
    return EndingOf(result->kind()).code;
  }
  if (status.ok())
    return Report(context, Err("cli.call-failed", "ccgpu-node", "ended the run without a result"), kFailed);
  const Error error = CallError(context, status);
  return Report(context, error, error.code == "cli.bad-request" ? kUsage : ExitCodeOf(error));
}

}  // namespace ccgpu::cli
