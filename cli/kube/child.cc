#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <utility>

#include "base/file.h"
#include "cli/kube/kubectl.h"

namespace ccgpu::cli {
namespace {

constexpr size_t kMaxOutput = 256u << 20;  // every pod of a large cluster

using Clock = std::chrono::steady_clock;

int Left(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

struct Pipe {
  Fd read, write;
};
Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("cli.no-kubectl", "cannot make a pipe for", "kubectl");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

Result<Child> Child::Start(const std::vector<std::string>& words) {
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    errno = error;
    return Err("cli.no-kubectl", words[0],
               "cannot be started (" + ErrnoError("cli.no-kubectl", "", words[0]).text +
                   "): install kubectl, or name it in $KUBECTL");
  }
  return Child(pid, std::move(out.read), std::move(err.read));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      out_text_(std::move(other.out_text_)),
      err_text_(std::move(other.err_text_)) {}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  Reap();
}

int Child::Reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool Child::Read(Fd& fd, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) {
    fd.Close();
    return false;
  }
  into.append(buffer.data(), static_cast<size_t>(got));
  return true;
}

Result<Child::Finished> Child::Wait(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (out_.valid() || err_.valid()) {
    pollfd waiting[] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    const int ready = ::poll(waiting, 2, Left(end));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return Err("cli.kubectl-failed", "kubectl", "did not end within " + std::to_string(limit.count() / 1000) + " s");
    }
    if (waiting[0].revents != 0) Read(out_, out_text_);
    if (waiting[1].revents != 0) Read(err_, err_text_);
    if (out_text_.size() + err_text_.size() > kMaxOutput)
      return Err("cli.kubectl-failed", "kubectl", "answered with more than 256 MiB");
  }
  return Finished{Reap(), std::move(out_text_), std::move(err_text_)};
}

Result<std::string> Child::Line(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  for (;;) {
    if (const size_t at = out_text_.find('\n'); at != std::string::npos) {
      std::string line = out_text_.substr(0, at);
      out_text_.erase(0, at + 1);
      return line;
    }
    if (!out_.valid() || out_text_.size() > 65536) break;
    pollfd waiting[] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    const int ready = ::poll(waiting, 2, Left(end));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    if (waiting[0].revents != 0) Read(out_, out_text_);
    if (waiting[1].revents != 0 && err_.valid()) Read(err_, err_text_);
  }
  return Err("cli.kubectl-failed", "kubectl", "wrote no line within " + std::to_string(limit.count() / 1000) + " s");
}

}  // namespace ccgpu::cli
