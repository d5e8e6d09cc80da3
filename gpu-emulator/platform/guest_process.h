// Starts a guest: a process in namespaces of its own, executed from a sealed memfd, holding exactly the descriptors
// that it was given.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::emulator {

struct GuestSpec {
  int executable = -1;  // sealed memfd, read-only
  std::string argv0;    // what the guest sees as its name
  std::vector<std::string> environment;
  int mount_namespace = -1;    // of the peer that asked for the launch; the guest gets a slave copy of it
  int network_namespace = -1;  // -1: the emulator's
  std::string hostname;
  int log = -1;                  // standard error; -1: /dev/null
  std::vector<int> descriptors;  // become 3, 4, 5 ...
};

class GuestProcess {
 public:
  // New pid, ipc, uts and mount namespaces. The guest dies with the calling *thread* (PR_SET_PDEATHSIG): call it from
  // the thread that stays for the sandbox's life. "platform.exec-failed" names the step that failed.
  static Result<GuestProcess> Start(const GuestSpec& spec);
  GuestProcess(GuestProcess&&) = default;
  GuestProcess& operator=(GuestProcess&&) = default;
  ~GuestProcess();  // kills and reaps

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the guest is gone
  void Kill();                                // SIGKILL; everything in the guest's pid namespace goes with it
  struct ExitStatus {
    int status = 0;  // exit code or signal number
    bool signaled = false;
  };
  // Waits for the end and reaps; once.
  ExitStatus Wait();

 private:
  GuestProcess(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  Fd pidfd_;
};

}  // namespace ccgpu::emulator
