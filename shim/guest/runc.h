// The OCI runtime's command line (runc, crun).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "shim/guest/reaper.h"

namespace ccgpu::shim {

struct RuncOptions {
  std::string binary = "runc";
  std::string root;  // state, on our tmpfs
  bool systemd_cgroup = false;
  bool no_pivot_root = false;
  bool no_new_keyring = false;
};

// Thread-safe. Errors: "runc.failed", subject the command, text what the runtime itself logged last.
class Runc {
 public:
  Runc(Reaper& reaper, RuncOptions options) : reaper_(reaper), options_(std::move(options)) {}

  // `fds`: the process's 0, 1, 2. The ids of the processes come through pid files.
  Result<pid_t> Create(const std::string& id, const std::string& bundle, const std::string& console_socket,
                       const std::vector<int>& fds);
  Status Start(const std::string& id, const std::string& bundle);
  Result<pid_t> Exec(const std::string& id, const std::string& folder, const std::string& process_file,
                     const std::string& console_socket, const std::vector<int>& fds);
  Status Kill(const std::string& id, const std::string& bundle, int signal, bool all);
  Status Delete(const std::string& id, const std::string& bundle, bool force);
  Status Command(const std::string& verb, const std::string& id, const std::string& folder,
                 const std::vector<std::string>& flags = {}, const std::string& input = "");

 private:
  Status Call(const std::string& verb, const std::string& id, const std::string& folder,
              const std::vector<std::string>& flags, const std::vector<int>& fds);
  Reaper& reaper_;
  RuncOptions options_;
};

// The last error line of a runtime's JSON log. For tests.
std::string LastRuncError(const std::string& log);

}  // namespace ccgpu::shim
