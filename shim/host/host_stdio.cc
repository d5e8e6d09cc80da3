#include "shim/host/host_stdio.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace ccgpu::shim {
namespace {

constexpr int kLoggerReadyMillis = 10000;

// "scheme" and the rest; a bare path is a fifo.
std::pair<std::string, std::string> SplitUri(const std::string& uri) {
  size_t at = uri.find("://");
  if (at == std::string::npos) return {"fifo", uri};
  return {uri.substr(0, at), uri.substr(at + 3)};
}

bool IsFifo(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
}

// A function of its own: the vfork child shares our memory, so no variable of a longer function may live in a register
// here.
__attribute__((noinline)) pid_t ExecLogger(char* const* argv, char* const* env, const int sources[3]) {
  const pid_t child = ::vfork();
  if (child != 0) return child;
  for (int i = 0; i < 3; ++i) ::dup2(sources[i], 3 + i);
  ::syscall(SYS_close_range, 6, ~0u, CLOSE_RANGE_CLOEXEC);
  ::execve(argv[0], argv, env);
  ::_exit(127);
}

}  // namespace

HostStdio::~HostStdio() {
  if (logger_ > 0) ::kill(logger_, SIGTERM);  // it has its end of input already; the reaper of the shim collects it
}

Status HostStdio::OpenOutput(const std::string& uri, Fd& fd, Fd& other_end) {
  auto [scheme, path] = SplitUri(uri);
  if (scheme == "file") {
    RETURN_IF_ERROR(MakeDirs(path.substr(0, path.rfind('/'))));
    fd = Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  } else if (scheme == "fifo" && IsFifo(path)) {
    other_end = Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    fd = Fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  } else if (scheme == "fifo") {
    fd = Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  } else {
    return Err("stdio.scheme", uri, "expected a fifo, file:// or binary://");
  }
  if (!fd.valid()) return ErrnoError("stdio.open", "open", path);
  return Ok();
}

Result<HostStdio> HostStdio::Open(const StdioPaths& paths, const std::string& id, const std::string& ns) {
  HostStdio stdio;
  stdio.terminal_ = paths.terminal;
  stdio.stdin_path_ = SplitUri(paths.in).second;
  if (paths.out.rfind("binary://", 0) == 0) {
    RETURN_IF_ERROR(stdio.StartLogger(paths.out, id, ns, !paths.terminal));
    return stdio;
  }
  if (!paths.out.empty()) RETURN_IF_ERROR(stdio.OpenOutput(paths.out, stdio.out_, stdio.out_reader_));
  if (!paths.err.empty() && !paths.terminal) {
    if (paths.err == paths.out) {
      stdio.err_ = Fd(::fcntl(stdio.out_.get(), F_DUPFD_CLOEXEC, 3));
    } else {
      RETURN_IF_ERROR(stdio.OpenOutput(paths.err, stdio.err_, stdio.err_reader_));
    }
  }
  return stdio;
}

Status HostStdio::OpenStdin() {
  if (stdin_path_.empty()) return Ok();
  in_ = Fd(::open(stdin_path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!in_.valid()) return ErrnoError("stdio.open", "open", stdin_path_);
  // As long as we hold a writing end the process sees no end of its input, whoever comes and goes at the other side.
  if (IsFifo(stdin_path_) && !stdin_closed_)
    in_writer_ = Fd(::open(stdin_path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return Ok();
}

Status HostStdio::StartLogger(const std::string& uri, const std::string& id, const std::string& ns, bool with_stderr) {
  std::string program = SplitUri(uri).second, query;
  if (size_t mark = program.find('?'); mark != std::string::npos) {
    query = program.substr(mark + 1);
    program.resize(mark);
  }
  std::vector<std::string> words = {program};
  for (size_t at = 0; at < query.size();) {
    size_t end = std::min(query.find('&', at), query.size());
    std::string pair = query.substr(at, end - at);
    size_t equals = pair.find('=');
    words.push_back(pair.substr(0, equals));
    if (equals != std::string::npos) words.push_back(pair.substr(equals + 1));
    at = end + 1;
  }
  std::vector<char*> argv, env;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string variables[] = {"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + ns, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (auto& variable : variables) env.push_back(variable.data());
  env.push_back(nullptr);
  int out[2], err[2], ready[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return ErrnoError("stdio.open", "pipe for", program);
  Fd out_read(out[0]);
  out_ = Fd(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) return ErrnoError("stdio.open", "pipe for", program);
  Fd err_read(err[0]), err_write(err[1]);
  if (::pipe2(ready, O_CLOEXEC) != 0) return ErrnoError("stdio.open", "pipe for", program);
  Fd ready_read(ready[0]), ready_write(ready[1]);
  int sources[3];
  for (int i = 0; i < 3; ++i)
    sources[i] = ::fcntl(i == 0 ? out_read.get() : i == 1 ? err_read.get() : ready_write.get(), F_DUPFD_CLOEXEC, 16);
  const pid_t child = ExecLogger(argv.data(), env.data(), sources);
  for (int source : sources) ::close(source);
  if (child < 0) return ErrnoError("stdio.open", "run", program);
  logger_ = child;
  ready_write.Close();
  pollfd waiting{ready_read.get(), POLLIN, 0};
  if (::poll(&waiting, 1, kLoggerReadyMillis) != 1)
    return Err("stdio.open", program, "the logger did not say that it is ready");
  if (with_stderr) err_ = std::move(err_write);
  return Ok();
}

std::vector<int> HostStdio::ForGuest(v1::Stdio& stdio) const {
  std::vector<int> fds;
  stdio.set_terminal(terminal_);
  stdio.set_has_stdin(!stdin_path_.empty());
  stdio.set_stdin_later(!stdin_path_.empty() && !in_.valid());
  stdio.set_has_stdout(out_.valid());
  stdio.set_has_stderr(err_.valid());
  for (const Fd* fd : {&in_, &out_, &err_})
    if (fd->valid()) fds.push_back(fd->get());
  return fds;
}

Result<uint64_t> HostStdio::SendStdin(const std::function<Result<uint64_t>(const std::vector<int>&)>& send) {
  if (!in_.valid()) return uint64_t{0};
  ASSIGN_OR_RETURN(uint64_t token, send({in_.get()}));
  in_.Close();
  return token;
}

void HostStdio::Sent() {
  in_.Close();
  // A fifo's writing end stays: guestd's copy goes when the process ends, and a reader may come later.
  if (!out_reader_.valid()) out_.Close();
  if (!err_reader_.valid()) err_.Close();
}

void HostStdio::CloseOutput() {
  // Our reading ends stay until the task is deleted: what was written lies in the fifo for a containerd that is away.
  out_.Close();
  err_.Close();
}

void HostStdio::CloseStdin() {
  stdin_closed_ = true;
  in_writer_.Close();
}

}  // namespace ccgpu::shim
