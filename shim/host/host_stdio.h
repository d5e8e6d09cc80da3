// The host's ends of a process's standard streams: fifos of containerd, files, logger programs. The process sandbox gets the
// descriptors themselves; nothing is copied here.
#pragma once

#include <sys/types.h>

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

  // What goes to guestd: fills `stdio` (without the token) and gives the descriptors in the order it wants.
  std::vector<int> ForGuest(v1::Stdio& stdio) const;
  // After they were sent: keeps only what must stay open here.
  void Sent();
  void CloseStdin();  // the process reads the end of its input

 private:
  Status OpenOutput(const std::string& path, Fd& fd, Fd& other_end);
  Status StartLogger(const std::string& uri, const std::string& id, const std::string& ns, bool with_stderr);
  bool terminal_ = false;
  Fd in_, out_, err_;                       // for the guest
  Fd in_writer_, out_reader_, err_reader_;  // kept open
  pid_t logger_ = 0;
};

}  // namespace ccgpu::shim
