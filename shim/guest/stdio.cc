#include "shim/guest/stdio.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>

#include "base/file.h"
#include "base/ttrpc/socket.h"

namespace ccgpu::shim {

// One direction: from -> to. Lives on the loop's thread but for Stop and Wait.
class Stdio::Stream : public std::enable_shared_from_this<Stdio::Stream> {
 public:
  Stream(ttrpc::Loop& loop, Fd from, Fd to) : loop_(loop), from_(std::move(from)), to_(std::move(to)) {
    ttrpc::SetNonBlocking(from_.get());
    ttrpc::SetNonBlocking(to_.get());
  }

  void Start() {
    loop_.Post([self = shared_from_this()] {
      if (self->done_) return;
      self->loop_.Add(self->from_.get(), EPOLLIN, [self](ttrpc::Loop::Events) { self->Copy(); });
    });
  }

  // Any thread; the descriptors are closed on the loop's thread.
  void Stop() {
    loop_.Post([self = shared_from_this()] { self->Finish(); });
  }

  bool Wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return done_; });
  }

 private:
  void Copy() {
    std::array<char, 16384> buffer;
    for (int rounds = 0; rounds < 8; ++rounds) {  // then the others have their turn
      ssize_t count = ::read(from_.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return Finish();  // end, or EIO: the last user of a pty has closed it
      waiting_.assign(buffer.data(), static_cast<size_t>(count));
      if (!Flush()) return;
    }
  }

  // True when all is written and reading goes on.
  bool Flush() {
    while (!waiting_.empty()) {
      ssize_t count = ::write(to_.get(), waiting_.data(), waiting_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        if (!blocked_) {
          blocked_ = true;
          loop_.Remove(from_.get());
          loop_.Add(to_.get(), EPOLLOUT, [self = shared_from_this()](ttrpc::Loop::Events) { self->Unblock(); });
        }
        return false;
      }
      if (count <= 0) {
        Finish();
        return false;
      }
      waiting_.erase(0, static_cast<size_t>(count));
    }
    return true;
  }

  void Unblock() {
    auto self = shared_from_this();  // the callback that runs this may be the last holder
    if (done_ || !Flush()) return;
    blocked_ = false;
    loop_.Remove(to_.get());
    loop_.Add(from_.get(), EPOLLIN, [self](ttrpc::Loop::Events) { self->Copy(); });
  }

  void Finish() {
    auto self = shared_from_this();
    std::lock_guard lock(mutex_);
    if (done_) return;
    loop_.Remove(from_.get());
    loop_.Remove(to_.get());
    from_.Close();
    to_.Close();
    done_ = true;
    changed_.notify_all();
  }

  ttrpc::Loop& loop_;
  Fd from_, to_;
  std::string waiting_;
  bool blocked_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

Result<std::vector<int>> Stdio::MakePipes(HostStreams streams, bool stdin_later) {
  host_ = std::move(streams);
  Fd* wanted[3] = {&host_.in, &host_.out, &host_.err};
  std::vector<int> ids = {-1, -1, -1};
  for (size_t i = 0; i < 3; ++i) {
    if (!wanted[i]->valid() && !(i == 0 && stdin_later)) continue;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("process.start", "pipe for", "a standard stream");
    child_[i] = Fd(ends[i == 0 ? 0 : 1]);
    parent_[i] = Fd(ends[i == 0 ? 1 : 0]);
    ids[i] = child_[i].get();
  }
  return ids;
}

void Stdio::StartPipes() {
  for (Fd& end : child_) end.Close();
  if (host_.in.valid()) AttachInput(std::move(host_.in));
  if (parent_[1].valid())
    outputs_.push_back(std::make_shared<Stream>(loop_, std::move(parent_[1]), std::move(host_.out)));
  if (parent_[2].valid())
    outputs_.push_back(std::make_shared<Stream>(loop_, std::move(parent_[2]), std::move(host_.err)));
  for (auto& stream : outputs_) stream->Start();
}

void Stdio::StartTerminal(Fd master, HostStreams streams) {
  master_ = std::move(master);
  if (streams.in.valid()) AttachInput(std::move(streams.in));
  if (!streams.out.valid())
    streams.out = Fd(::open("/dev/null", O_WRONLY | O_CLOEXEC));  // else the process would block
  outputs_.push_back(
      std::make_shared<Stream>(loop_, Fd(::fcntl(master_.get(), F_DUPFD_CLOEXEC, 3)), std::move(streams.out)));
  outputs_.back()->Start();
}

void Stdio::AttachInput(Fd in) {
  Fd to = master_.valid() ? Fd(::fcntl(master_.get(), F_DUPFD_CLOEXEC, 3)) : std::move(parent_[0]);
  if (input_ || !to.valid()) return;
  input_ = std::make_shared<Stream>(loop_, std::move(in), std::move(to));
  input_->Start();
}

Status Stdio::Resize(uint32_t width, uint32_t height) {
  if (!master_.valid()) return Ok();  // before start, or no terminal: nothing to resize, and no error either
  winsize size{};
  size.ws_col = static_cast<unsigned short>(width);
  size.ws_row = static_cast<unsigned short>(height);
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0) return ErrnoError("process.resize", "resize", "the terminal");
  return Ok();
}

void Stdio::WaitDrained(std::chrono::milliseconds limit) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  for (auto& stream : outputs_) stream->Wait(deadline);
}

void Stdio::Close() {
  if (input_) input_->Stop();
  for (auto& stream : outputs_) stream->Stop();
  input_.reset();
  outputs_.clear();
  master_.Close();
}

}  // namespace ccgpu::shim
