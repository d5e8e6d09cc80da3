#include "node-installer/command_line.h"

#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/http/probes.h"
#include "base/json.h"
#include "base/log.h"
#include "base/program.h"
#include "node-installer/node_agent.h"

namespace ccgpu::installer {
namespace {

constexpr int kFailed = 1, kRefused = 2;
constexpr char kProgram[] = "ccgpu-node-installer";

struct Flags {
  InstallOptions install;
  RuntimeOptions runtime;
  kube::Access access;
  ClusterPlace place;
  std::string host_root = "/", http = "0.0.0.0:9430", log_level = "info";
  bool host_mount_namespace = false, force = false, allow_no_policy = false;
  int patience_s = 30;
};

void Describe(CLI::App& app, Flags& flags) {
  app.add_option("--host-root", flags.host_root,
                 "where the machine's root folder is; where it is PID 1's, commands run in PID 1's namespaces (needs "
                 "hostPID and a privileged container)")
      ->capture_default_str();
  app.add_flag("--host-mount-namespace", flags.host_mount_namespace, "the same as --host-root /proc/1/root");
  app.add_option("--payload", flags.install.payload, "folder with bin/, guest/ and lib/ to install")
      ->capture_default_str();
  app.add_option("--home", flags.install.home, "where they go on the machine")->capture_default_str();
  app.add_option("--shim-config", flags.install.shim_config, "the shim's configuration on the machine")
      ->capture_default_str();
  app.add_option("--link-folder", flags.install.link_folder, "folder of containerd's PATH for a link to the shim")
      ->capture_default_str();
  app.add_flag("--allow-pods-without-policy", flags.allow_no_policy,
               "the shim also starts pods that bring no policy (default: it refuses them)");
  app.add_option("--containerd-config", flags.install.containerd_config, "containerd's configuration on the machine")
      ->capture_default_str();
  app.add_option("--containerd-socket", flags.runtime.socket, "containerd's socket on the machine")
      ->capture_default_str();
  app.add_option("--restart-command", flags.runtime.restart_command, "shell command that restarts containerd")
      ->capture_default_str();
  app.add_option("--log-command", flags.runtime.log_command, "shell command that prints the end of containerd's log")
      ->capture_default_str();
  app.add_option("--patience", flags.patience_s, "seconds that containerd is given to answer")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level)->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

// Whether a folder is the root of a machine that we are only a container on.
bool IsRootOfProcessOne(const std::string& folder) {
  struct stat root {
  }, one{}, our_mounts{}, its_mounts{};
  return ::stat(folder.c_str(), &root) == 0 && ::stat("/proc/1/root/", &one) == 0 && root.st_dev == one.st_dev &&
         root.st_ino == one.st_ino && ::stat("/proc/self/ns/mnt", &our_mounts) == 0 &&
         ::stat("/proc/1/ns/mnt", &its_mounts) == 0 && our_mounts.st_ino != its_mounts.st_ino;
}

void PrintReport(const char* done, const Report& report) {
  const Json json = {{"done", done},
                     {"version", report.version},
                     {"files", report.files_fit},
                     {"configured", report.configured},
                     {"handlerKnown", report.handler_known},
                     {"containerdRestarted", report.restarted},
                     {"note", report.note}};
  std::cout << json.dump() << "\n";
}

int ExitCode(const Error& error) {
  const bool refused = error.code.starts_with("installer.config-") || error.code.starts_with("installer.foreign-") ||
                       error.code == "installer.payload" || error.code == "installer.record-broken";
  return refused ? kRefused : kFailed;
}

Status RunAgent(Flags& flags, Installer& installer, const EndSignals& ends) {
  RETURN_IF_ERROR(flags.access.FillInCluster());
  if (flags.place.name_space.empty()) {
    ASSIGN_OR_RETURN(flags.place.name_space, kube::PodNamespace());
  }
  kube::Options options;
  options.user_agent = kProgram;
  options.request_timeout = options.retry_for = std::chrono::seconds(5);
  ASSIGN_OR_RETURN(const auto client, kube::Client::Make(flags.access, options));
  const auto cluster = MakeCluster(*client, flags.place);
  NodeAgent agent(installer, *cluster, flags.install.version);
  std::unique_ptr<http::ProbePort> http;
  if (!flags.http.empty()) {
    const auto missing = [&] { return std::string(agent.Ready() ? "" : "not installed"); };
    ASSIGN_OR_RETURN(http, http::ProbePort::Serve(
                               flags.http, {.metrics = [&] { return agent.Metrics(); }, .not_ready_because = missing},
                               {"installer.http", "installer.http"}));
  }
  do {
    agent.Round();
  } while (!ends.WaitFor(NodeAgent::kRound));
  if (!agent.End())
    return Err("installer.left-installed", flags.place.node, "what is installed could not be taken back");
  return Ok();
}

int Finish(const char* done, const Result<Report>& report) {
  if (!report.ok()) {
    std::cerr << kProgram << ": " << report.error().ToString() << "\n";
    return ExitCode(report.error());
  }
  PrintReport(done, *report);
  return 0;
}

}  // namespace

int RunCommandLine(int argc, char** argv, const char* version) {
  Flags flags;
  CLI::App app(
      "ccgpu-node-installer: puts shim and guest half onto a node, tells its containerd about them, and takes all of "
      "it "
      "back.");
  app.set_version_flag("--version", std::string(kProgram) + " " + version);
  app.require_subcommand(1);
  app.fallthrough();
  Describe(app, flags);
  auto* run = app.add_subcommand("run", "as a DaemonSet: install, label the node, watch, uninstall when told");
  run->add_option("--node", flags.place.node, "our node's name")->envname("NODE_NAME")->required();
  run->add_option("--namespace", flags.place.name_space, "of our DaemonSet (default: of our pod)")
      ->envname("POD_NAMESPACE");
  run->add_option("--daemon-set", flags.place.daemon_set, "our DaemonSet's name")->capture_default_str();
  run->add_option("--http", flags.http, "address of /metrics, /healthz, /readyz; empty: none")->capture_default_str();
  run->add_option("--api-server", flags.access.server, "the Kubernetes API (default: the pod's)");
  run->add_option("--api-token", flags.access.token_file, "file with our token (default: the pod's)");
  run->add_option("--api-ca", flags.access.ca_file, "file with the API's CA (default: the pod's)");
  auto* install = app.add_subcommand("install", "once");
  auto* uninstall = app.add_subcommand("uninstall", "once; the machine is then what it was before");
  uninstall->add_flag("--force", flags.force, "also while pods of the handler run or containerd does not answer");
  app.add_subcommand("status", "what is installed; changes nothing");
  app.footer("Exit codes: 0 done, 1 could not, 2 usage or something that the installer refuses to touch.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kRefused;
  }
  log::Init(kProgram, LogLevelNamed(flags.log_level));
  (void)::signal(SIGPIPE, SIG_IGN);
  ::umask(022);
  const EndSignals ends;  // also for the one-time commands: what has begun is brought to its end

  flags.install.version = version;
  flags.install.require_policy = !flags.allow_no_policy;
  flags.install.patience = std::chrono::seconds(flags.patience_s);
  if (flags.host_mount_namespace) flags.host_root = "/proc/1/root";
  flags.runtime.on_host = IsRootOfProcessOne(flags.host_root);
  const auto files = HostFiles::Open(flags.host_root);
  if (!files.ok()) return Finish("", files.error());
  flags.runtime.socket = files->root() + flags.runtime.socket;
  const auto runtime = MakeRuntime(flags.runtime);
  Installer installer(*files, *runtime, flags.install);
  if (install->parsed()) return Finish("install", installer.Install());
  if (uninstall->parsed()) return Finish("uninstall", installer.Uninstall(flags.force));
  if (!run->parsed()) return Finish("status", installer.Inspect());
  const Status ran = RunAgent(flags, installer, ends);
  if (ran.ok()) return 0;
  log::Error("cannot run",
             {{"code", ran.error().code}, {"subject", ran.error().subject}, {"reason", ran.error().text}});
  return kFailed;
}

}  // namespace ccgpu::installer
