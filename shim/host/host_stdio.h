// The host's ends of a process's standard streams: fifos of containerd, files, logger programs. The process sandbox
// gets the descriptors themselves; nothing is copied here.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "shim/api/guest.pb.h"

namespace ccgpu::shim {

struct StdioPaths {
  bool terminal = false;
  std::string in, out, err;  // "" none; path or fifo://path; file:///path; binary:///program?key=value
};

class HostStdio {
 public:
  // Fifos are opened at both ends and kept, so that neither a restart of containerd nor a slow reader ends the process.
  static Result<HostStdio> Open(const StdioPaths& paths, const std::string& id, const std::string& ns);
  HostStdio() = default;
  HostStdio(HostStdio&&) = default;
  HostStdio& operator=(HostStdio&&) = default;
  ~HostStdio();  // a logger gets SIGTERM

  // Input is opened at Start, not at Create: a client learns how to close it (CloseIO) only after Create has answered,
  // and must not have written all of it before.
  Status OpenStdin();

  // What goes to guestd: fills `stdio` (without the token) and gives the descriptors in the order it wants.
  std::vector<int> ForGuest(v1::Stdio& stdio) const;
  // Input alone, after OpenStdin; 0 when there is none.
  Result<uint64_t> SendStdin(const std::function<Result<uint64_t>(const std::vector<int>&)>& send);
  // After they were sent: keeps only what must stay open here.
  void Sent();
  void CloseStdin();  // the process reads the end of its input
  // The process has ended: readers come to the end of its output. containerd 2 reads to there before it deletes a task.
  void CloseOutput();

 private:
  Status OpenOutput(const std::string& path, Fd& fd, Fd& other_end);
  Status StartLogger(const std::string& uri, const std::string& id, const std::string& ns, bool with_stderr);
  bool terminal_ = false, stdin_closed_ = false;
  std::string stdin_path_;
  Fd in_, out_, err_;                       // for the guest
  Fd in_writer_, out_reader_, err_reader_;  // kept open
  pid_t logger_ = 0;
};

}  // namespace ccgpu::shim
