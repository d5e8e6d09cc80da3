#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "attestation-agent/agent.h"
#include "base/log.h"

int main(int argc, char** argv) {
  ccgpu::agent::AgentOptions options;
  CLI::App app(
      "ccgpu-agent: attests this sandbox and its GPUs, and hands released keys to the pod's containers on 127.0.0.1");
  app.set_version_flag("--version", "ccgpu-agent " CCGPU_VERSION);
  app.add_option("--initdata", options.init_data,
                 "the measured initdata document (TOML); everything trusted comes from it")
      ->capture_default_str();
  app.add_option("--collateral", options.collateral, "folder with rim/*.xml, ocsp/*.der, crl/*.der")
      ->capture_default_str();
  app.add_option("--tsm", options.tsm, "configfs-tsm report folder")->capture_default_str();
  app.add_option("--nvml", options.nvml, "NVIDIA management library; not there: a sandbox without GPUs")
      ->capture_default_str();
  app.add_option("--port", options.port, "port on 127.0.0.1")->capture_default_str()->check(CLI::Range(1, 65535));
  app.add_option("--events-fd", options.events_fd, "pipe that gets events, one JSON object a line");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  ccgpu::log::Init("ccgpu-agent");
  if (const char* sandbox = std::getenv("CCGPU_SANDBOX_ID"); sandbox && *sandbox) {
    options.sandbox_id = sandbox;
    ccgpu::log::AddContext("sandbox", options.sandbox_id);
  }
  if (auto status = ccgpu::agent::RunAgent(options); !status.ok()) {
    ccgpu::log::Error(status.error().text, {{"code", status.error().code}, {"subject", status.error().subject}});
    return 1;
  }
  return 0;
}
