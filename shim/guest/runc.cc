#include "shim/guest/runc.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::shim {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  std::string path = kPath;
  for (size_t begin = 0; begin < path.size();) {
    size_t colon = std::min(path.find(':', begin), path.size());
    std::string candidate = path.substr(begin, colon - begin) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = colon + 1;
  }
  return Err("runc.missing", name,
             "the OCI runtime is not installed; install runc, or name it with runc: in the shim's configuration");
}

Result<pid_t> ReadPid(const std::string& file) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(file, 64));
  int pid = std::atoi(text.c_str());
  if (pid <= 0) return Err("runc.failed", file, "the runtime wrote no process id");
  return pid;
}

}  // namespace

std::string LastRuncError(const std::string& log) {
  std::string last;
  for (size_t begin = 0; begin < log.size();) {
    size_t end = std::min(log.find('\n', begin), log.size());
    auto line = ParseJson(std::string_view(log).substr(begin, end - begin), "log");
    if (line.ok() && line->is_object() && line->value("level", "") == "error") last = line->value("msg", "");
    begin = end + 1;
  }
  return last;
}

Status Runc::Call(const std::string& verb, const std::string& id, const std::string& folder,
                  const std::vector<std::string>& flags, const std::vector<int>& fds) {
  ASSIGN_OR_RETURN(std::string program, FindProgram(options_.binary));
  std::string log = folder + "/runc-" + verb + ".log";
  ::unlink(log.c_str());
  Spawn spawn;
  spawn.path = program;
  spawn.args = {options_.binary, "--root", options_.root, "--log", log, "--log-format", "json"};
  if (options_.systemd_cgroup) spawn.args.push_back("--systemd-cgroup");
  spawn.args.push_back(verb);
  spawn.args.insert(spawn.args.end(), flags.begin(), flags.end());
  spawn.args.push_back(id);
  spawn.env = {std::string("PATH=") + kPath,
               "GOMAXPROCS=1"};  // one thread less to start; it never has two things to do
  spawn.fds = fds;
  spawn.cwd = folder;
  ASSIGN_OR_RETURN(int status, reaper_.Run(spawn));
  if (status == 0) return Ok();
  auto text = ReadFile(log, 1 << 20);
  std::string why = text.ok() ? LastRuncError(*text) : "";
  if (why.empty()) why = "exit status " + std::to_string(status) + " and no error in its log";
  return Err("runc.failed", verb, "OCI runtime " + verb + " failed: " + why);
}

Result<pid_t> Runc::Create(const std::string& id, const std::string& bundle, const std::string& console_socket,
                           const std::vector<int>& fds) {
  std::string pid_file = bundle + "/init.pid";
  std::vector<std::string> flags = {"--bundle", bundle, "--pid-file", pid_file};
  if (!console_socket.empty()) flags.insert(flags.end(), {"--console-socket", console_socket});
  if (options_.no_pivot_root) flags.push_back("--no-pivot");
  if (options_.no_new_keyring) flags.push_back("--no-new-keyring");
  RETURN_IF_ERROR(Call("create", id, bundle, flags, fds));
  return ReadPid(pid_file);
}

Status Runc::Start(const std::string& id, const std::string& bundle) {
  return Call("start", id, bundle, {}, {-1, -1, -1});
}

Result<pid_t> Runc::Exec(const std::string& id, const std::string& folder, const std::string& process_file,
                         const std::string& console_socket, const std::vector<int>& fds) {
  std::string pid_file = folder + "/pid";
  std::vector<std::string> flags = {"--process", process_file, "--detach", "--pid-file", pid_file};
  if (!console_socket.empty()) flags.insert(flags.end(), {"--console-socket", console_socket});
  RETURN_IF_ERROR(Call("exec", id, folder, flags, fds));
  return ReadPid(pid_file);
}

Status Runc::Kill(const std::string& id, const std::string& bundle, int signal, bool all) {
  ASSIGN_OR_RETURN(std::string program, FindProgram(options_.binary));
  Spawn spawn;
  spawn.path = program;
  spawn.args = {options_.binary, "--root", options_.root, "kill"};
  if (all) spawn.args.push_back("--all");
  spawn.args.insert(spawn.args.end(), {id, std::to_string(signal)});
  spawn.env = {std::string("PATH=") + kPath};
  spawn.fds = {-1, -1, -1};
  spawn.cwd = bundle;
  ASSIGN_OR_RETURN(int status, reaper_.Run(spawn));
  if (status != 0) return Err("process.gone", id, "the process already finished");
  return Ok();
}

Status Runc::Delete(const std::string& id, const std::string& bundle, bool force) {
  std::vector<std::string> flags;
  if (force) flags.push_back("--force");
  return Call("delete", id, bundle, flags, {-1, -1, -1});
}

Status Runc::Command(const std::string& verb, const std::string& id, const std::string& folder,
                     const std::vector<std::string>& flags, const std::string& input) {
  if (input.empty()) return Call(verb, id, folder, flags, {-1, -1, -1});
  Fd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file.valid() || ::write(file.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0)
    return ErrnoError("runc.failed", "write the input of", verb);
  return Call(verb, id, folder, flags, {file.get(), -1, -1});
}

}  // namespace ccgpu::shim
