// ccgpu-emulator: one machine's emulated confidential GPUs and secure processor.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "base/program.h"
#include "gpu-emulator/control/authorities.h"
#include "gpu-emulator/control/emulator.h"

int main(int argc, char** argv) {
  ccgpu::emulator::EmulatorOptions options;
  std::string config;
  int ready_fd = -1;
  bool identities_only = false;
  CLI::App app(
      "Emulates confidential GPUs and the secure processor of one machine. It emulates: it protects nothing from its "
      "host.");
  app.set_version_flag("--version", "ccgpu-emulator " CCGPU_VERSION);
  auto* state = app.add_option("--state", options.state_dir, "folder for identities and keys, made at the first start");
  auto* run = app.add_option("--run", options.run_dir, "folder for sockets and link memories");
  auto* gpus =
      app.add_option("--gpus", options.gpus, "number of GPUs")->check(CLI::Range(0, 64))->capture_default_str();
  auto* profile = app.add_option("--profile", options.profile, "built-in profile or YAML file")->capture_default_str();
  auto* http =
      app.add_option("--http", options.http, "RIM, OCSP, /metrics, /healthz; port 0: any")->capture_default_str();
  app.add_option("--rim-mirror", options.rim_mirror,
                 "folder of <id>.json, answers of another RIM service that ours hands on (docs/formats/rim-service.md)")
      ->check(CLI::ExistingDirectory);
  auto* platform = app.add_option("--platform", options.platform,
                                  "the CPU that guests run on: snp, tdx, tdx-v5 or vtpm (needs swtpm)")
                       ->check(CLI::IsMember({"snp", "tdx", "tdx-v5", "vtpm"}))
                       ->capture_default_str();
  app.add_option("--platform-fault", options.platform_fault, "a fault of the TDX platform (docs/formats/tdx-quote.md)")
      ->capture_default_str();
  app.add_option("--authorities", options.authorities,
                 "folder of vendor__NAME.key, ...: authorities that several nodes share; --state may hold no others")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--identities-only", identities_only,
               "make the authorities in --state, and their roots in --state/roots, and end");
  app.add_option("--config", config, "YAML file with the keys state, run, gpus, profile, http, platform; flags win")
      ->check(CLI::ExistingFile);
  std::string log_format;
  app.add_option("--log-format", log_format, "text or json [$CCGPU_LOG_FORMAT]; guests get it too")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--ready-fd", ready_fd, "writes the line \"ready\" there when every socket answers");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  ccgpu::log::Init("ccgpu-emulator");
  ccgpu::log::SetFormat(log_format);
  const auto fail = [](const ccgpu::Error& error, int code) {
    std::fprintf(stderr, "ccgpu-emulator: %s\n", error.ToString().c_str());
    return code;
  };
  if (!config.empty()) {
    auto read = ccgpu::emulator::ReadOptionsFile(config,
                                                 {state->count() > 0, run->count() > 0, gpus->count() > 0,
                                                  profile->count() > 0, http->count() > 0, platform->count() > 0},
                                                 options);
    if (!read.ok()) return fail(read.error(), 2);
  }
  if (options.state_dir.empty() || (options.run_dir.empty() && !identities_only)) {
    std::fprintf(stderr, "ccgpu-emulator: --state and --run are required (or state: and run: in --config)\n");
    return 2;
  }
  if (identities_only && !options.authorities.empty()) {
    std::fprintf(stderr, "ccgpu-emulator: --identities-only makes authorities, --authorities brings them\n");
    return 2;
  }

  umask(077);  // nothing that we make is for others
  signal(SIGPIPE, SIG_IGN);
  const ccgpu::EndSignals ends;

  options.version = CCGPU_VERSION;
  const ccgpu::SystemClock clock;
  if (identities_only) {
    auto made = ccgpu::emulator::MakeAuthorities(options.state_dir, options.profile, clock.Now());
    return made.ok() ? 0 : fail(made.error(), 1);
  }
  ccgpu::crypto::SystemRandom random;
  auto emulator = ccgpu::emulator::Emulator::Start(options, clock, random);
  if (!emulator.ok()) return fail(emulator.error(), 1);
  ccgpu::log::Info(
      "ready",
      {{"profile", options.profile}, {"gpus", std::to_string(options.gpus)}, {"http", (*emulator)->http_url()}});
  if (ready_fd >= 0) {
    if (write(ready_fd, "ready\n", 6) != 6) ccgpu::log::Warning("nobody reads --ready-fd");
    close(ready_fd);
  } else {
    std::puts("ready");
    std::fflush(stdout);
  }
  ccgpu::log::Info("stopping", {{"signal", strsignal(ends.Wait())}});
  return 0;
}
