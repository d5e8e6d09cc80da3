#include "cli/context.h"

#include "base/json.h"

namespace ccgpu::cli {

int ExitCodeOf(const Error& error) {
  const std::string_view code = error.code;
  for (const std::string_view area :
       {"input.", "image.", "initdata.", "evidence.", "cli.bad-", "file.", "node.unsupported-field"}) {
    if (code.starts_with(area)) return kUsage;
  }
  for (const std::string_view area : {"deployment.", "cli.unavailable"}) {
    if (code.starts_with(area)) return kUnavailable;
  }
  return kFailed;
}

int Report(const Context& context, const Error& error, int exit_code) {
  if (context.json) {
    const Json body = {{"error", {{"code", error.code}, {"subject", error.subject}, {"text", error.text}}}};
    context.out << body.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
  } else {
    context.err << "ccgpu: " << error.ToString() << "\n";
  }
  return exit_code;
}

int Report(const Context& context, const Error& error) { return Report(context, error, ExitCodeOf(error)); }

}  // namespace ccgpu::cli
