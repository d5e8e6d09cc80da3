#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/encoding.h"
#include "base/file.h"
#include "base/ttrpc/socket.h"
#include "shim/host/actions.h"
#include "shim/host/config.h"
#include "shim/host/sha256.h"
#include "shim/host/task_options.h"
#include "shim/oci/cgroup.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kMaxInput = 10u << 20;
constexpr size_t kMaxSocketPath = 106;  // containerd checks the same
constexpr auto kAlive = std::chrono::milliseconds(100);

std::string ReadInput() {
  std::string out;
  char piece[4096];
  for (ssize_t count; out.size() < kMaxInput && (count = ::read(0, piece, sizeof piece)) > 0;)
    out.append(piece, static_cast<size_t>(count));
  return out;
}

// The daemon is one step easier to kill than containerd, as its stock shim is.
void AdjustOomScore(pid_t pid) {
  auto own = ReadFile("/proc/self/oom_score_adj", 32);
  if (!own.ok()) return;
  int score = std::min(std::atoi(own->c_str()) + 1, 1000);
  Fd fd(::open(("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str(), O_WRONLY | O_CLOEXEC));
  std::string text = std::to_string(score);
  [[maybe_unused]] ssize_t n = ::write(fd.get(), text.data(), text.size());
}

Status WriteAddress(const std::string& address) { return WriteFileAtomic("address", address, 0644); }

// The daemon keeps only the listener: containerd reads our output until the last copy of it is closed.
Result<pid_t> StartDaemon(const Flags& flags, const Fd& listener, const std::string& config_file) {
  std::string variable = std::string(kConfigVariable) + "=" + config_file;
  std::vector<std::string> words = {
      "containerd-shim-ccgpu-v2", "-namespace", flags.ns, "-address", flags.address, "-id", flags.id};
  if (flags.debug) words.push_back("-debug");
  words.push_back("serve");
  std::vector<char*> argv, env;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (char** entry = environ; *entry; ++entry)
    if (std::strncmp(*entry, kConfigVariable, std::strlen(kConfigVariable)) != 0) env.push_back(*entry);
  if (!config_file.empty()) env.push_back(variable.data());
  env.push_back(nullptr);
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Fd source(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 10));
  if (!null.valid() || !source.valid()) return ErrnoError("shim.start", "prepare the daemon of", flags.id);
  pid_t child = ::vfork();
  if (child == 0) {
    ::setsid();
    for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
    ::dup2(source.get(), kListenerFd);
    ::syscall(SYS_close_range, kListenerFd + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    ::execve("/proc/self/exe", argv.data(), env.data());
    ::_exit(127);
  }
  if (child < 0) return ErrnoError("shim.start", "fork the daemon of", flags.id);
  return child;
}

}  // namespace

std::string SocketPath(const std::string& containerd_address, const std::string& ns, const std::string& group) {
  // As Go's filepath.Join: one slash between, none doubled.
  std::string joined = containerd_address + "/" + ns + "/" + group, clean;
  for (char c : joined)
    if (c != '/' || clean.empty() || clean.back() != '/') clean.push_back(c);
  return "/run/containerd/s/" + HexEncode(AsBytes(Sha256(clean)));
}

Result<std::string> StartAction(const Flags& flags) {
  if (flags.ns.empty() || flags.id.empty()) return Err("shim.usage", "start", "needs -namespace and -id");
  ASSIGN_OR_RETURN(TaskOptions options, ReadStartInput(ReadInput(), flags.id));
  std::string config_file = ConfigFile(options.config_path);
  ASSIGN_OR_RETURN([[maybe_unused]] Config config,
                   LoadConfig(config_file));  // a wrong one is said here, where a person sees it
  ASSIGN_OR_RETURN(SpecFacts spec, ReadBundleSpec("."));
  std::string path = flags.socket.empty() ? SocketPath(flags.address, flags.ns, GroupOf(spec, flags.id)) : flags.socket;
  if (path.size() > kMaxSocketPath) return Err("shim.usage", path, "the socket's path is longer than 106 bytes");
  std::string address = "unix://" + path;

  bool alive = ttrpc::ConnectUnix(path, kAlive).ok();
  if (alive) {
    RETURN_IF_ERROR(WriteAddress(address));
    return address;
  }
  if (spec.kind == ContainerKind::kPodContainer)
    return Err("sandbox.gone", flags.id,
               "the shim of this container's pod does not answer at " + path + "; the pod must be made anew");
  RETURN_IF_ERROR(MakeDirs(path.substr(0, path.rfind('/')), 0700));
  auto listener = ttrpc::ListenUnix(path);
  if (!listener.ok() && listener.error().code == "ttrpc.in-use") {  // somebody was faster with the same group
    RETURN_IF_ERROR(WriteAddress(address));
    return address;
  }
  if (!listener.ok()) return listener.error();
  auto pid = StartDaemon(flags, *listener, config_file);
  auto undo = [&](Error error) -> Error {
    if (pid.ok()) ::kill(*pid, SIGKILL);
    ::unlink(path.c_str());
    return error;
  };
  if (!pid.ok()) return undo(pid.error());
  AdjustOomScore(*pid);
  if (!options.runc.shim_cgroup().empty()) {
    Status joined = Cgroup(options.runc.shim_cgroup()).Join(*pid);
    if (!joined.ok()) return undo(joined.error());
  }
  Status written = WriteAddress(address);
  if (!written.ok()) return undo(written.error());
  return address;
}

}  // namespace ccgpu::shim
