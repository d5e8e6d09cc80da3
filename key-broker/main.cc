// ccgpu-broker: see key-broker/server/program.h for what it does, broker.example.yaml for what it can be told.
#include "base/program.h"
#include "key-broker/server/program.h"

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto config = ccgpu::broker::ReadCommandLine(argc, argv, CCGPU_VERSION, &exit_code);
  if (!config) return exit_code;
  ccgpu::log::Init("ccgpu-broker", ccgpu::LogLevelNamed(config->log_level));
  ccgpu::log::SetFormat(config->log_format);
  const ccgpu::Status status = ccgpu::broker::RunBroker(*config, CCGPU_VERSION);
  if (status.ok()) return 0;
  const ccgpu::Error& error = status.error();
  ccgpu::log::Error("cannot run", {{"code", error.code}, {"subject", error.subject}, {"reason", error.text}});
  return 1;
}
