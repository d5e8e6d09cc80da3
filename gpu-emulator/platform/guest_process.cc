#include "gpu-emulator/platform/guest_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace ccgpu::emulator {
namespace {

// What the child needs, prepared before clone: the child shares our memory (CLONE_VM) while we are suspended
// (CLONE_VFORK), and may neither allocate nor take a lock.
struct Plan {
  const GuestSpec* spec;
  std::vector<int> sources;  // moved out of the way of their targets, close-on-exec
  int executable;
  int log;
  int dev_null;
  char* const* argv;
  char* const* envp;
  const char* failed_step = nullptr;
  int failed_errno = 0;
};

[[noreturn]] void Fail(Plan& plan, const char* step) {
  plan.failed_errno = errno;
  plan.failed_step = step;
  _exit(127);
}

int ChildMain(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  const GuestSpec& spec = *plan.spec;
  for (int signal = 1; signal < 65; ++signal) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail(plan, "PR_SET_PDEATHSIG");
  setsid();
  if (spec.network_namespace >= 0 && setns(spec.network_namespace, CLONE_NEWNET) != 0)
    Fail(plan, "enter the network namespace");
  if (spec.mount_namespace >= 0 && setns(spec.mount_namespace, CLONE_NEWNS) != 0)
    Fail(plan, "enter the peer's mount namespace");
  if (unshare(CLONE_NEWNS) != 0) Fail(plan, "make a mount namespace");
  // Mounts of the host still arrive (containerd mounts root file systems late), none of ours goes out.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) Fail(plan, "make the mounts slaves");
  if (sethostname(spec.hostname.c_str(), spec.hostname.size()) != 0) Fail(plan, "set the host name");
  if (chdir("/") != 0) Fail(plan, "chdir /");
  umask(022);
  if (dup2(plan.dev_null, 0) < 0 || dup2(plan.dev_null, 1) < 0 || dup2(plan.log, 2) < 0)
    Fail(plan, "arrange standard descriptors");
  int target = 3;
  for (int source : plan.sources) {
    if (dup2(source, target++) < 0) Fail(plan, "arrange descriptors");
  }
  if (dup2(plan.executable, target) < 0) Fail(plan, "arrange the executable");
  if (fcntl(target, F_SETFD, FD_CLOEXEC) != 0) Fail(plan, "arrange the executable");
  if (syscall(SYS_close_range, target + 1, ~0u, 0) != 0) Fail(plan, "close the other descriptors");
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  syscall(SYS_execveat, target, "", plan.argv, plan.envp, AT_EMPTY_PATH);
  Fail(plan, "execute the image");
}

}  // namespace

Result<GuestProcess> GuestProcess::Start(const GuestSpec& spec) {
  // Sources above all targets, so that no dup2 overwrites a source that is still needed.
  int floor = static_cast<int>(spec.descriptors.size()) + 8;
  std::vector<Fd> moved;
  auto move = [&](int fd) {
    moved.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, floor));
    return moved.back().get();
  };
  Fd dev_null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!dev_null.valid()) return ErrnoError("platform.exec-failed", "cannot open", "/dev/null");
  Plan plan{};
  plan.spec = &spec;
  for (int fd : spec.descriptors) plan.sources.push_back(move(fd));
  plan.executable = move(spec.executable);
  plan.dev_null = move(dev_null.get());
  plan.log = spec.log >= 0 ? move(spec.log) : plan.dev_null;
  for (const Fd& fd : moved) {
    if (!fd.valid()) return ErrnoError("platform.exec-failed", "cannot duplicate a descriptor for", spec.argv0);
  }
  std::string argv0 = spec.argv0;
  char* argv[] = {argv0.data(), nullptr};
  std::vector<std::string> environment = spec.environment;
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  plan.argv = argv;
  plan.envp = envp.data();

  constexpr size_t kStack = 256u << 10;
  void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return ErrnoError("platform.exec-failed", "no memory for the stack of", spec.argv0);
  // No signal may run one of our handlers in the child, which shares our memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  pid_t pid =
      clone(ChildMain, static_cast<char*>(stack) + kStack,
            CLONE_VM | CLONE_VFORK | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
  int clone_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, kStack);
  if (pid < 0) {
    errno = clone_errno;
    return ErrnoError("platform.exec-failed", "cannot clone", spec.argv0);
  }
  GuestProcess process(pid, Fd(pidfd));
  if (plan.failed_step != nullptr) {
    process.Wait();
    return Err("platform.exec-failed", spec.argv0,
               std::string("cannot ") + plan.failed_step + ": " + std::strerror(plan.failed_errno));
  }
  return process;
}

GuestProcess::~GuestProcess() {
  if (!pidfd_.valid()) return;
  Kill();
  Wait();
}

void GuestProcess::Kill() {
  if (pidfd_.valid()) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

GuestProcess::ExitStatus GuestProcess::Wait() {
  ExitStatus exit_status;
  siginfo_t info{};
  int rc;
  do {
    rc = waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  } while (rc < 0 && errno == EINTR);
  if (rc == 0) {
    exit_status.status = info.si_status;
    exit_status.signaled = info.si_code != CLD_EXITED;
  }
  pidfd_.Close();
  return exit_status;
}

}  // namespace ccgpu::emulator
