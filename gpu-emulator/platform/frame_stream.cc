#include "gpu-emulator/platform/frame_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/file.h"

namespace ccgpu::emulator {
namespace {

using platform::v1::Frame;

// Waits until `events` is possible; false after the deadline.
bool WaitFor(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left < 0) left = 0;
    pollfd p{fd, events, 0};
    int n = ::poll(&p, 1, static_cast<int>(left));
    if (n > 0) return true;
    if (n == 0) return false;
    if (errno != EINTR) return false;
  }
}

}  // namespace

size_t FdsNamedBy(const Frame& frame) {
  if (frame.has_launch()) {
    const auto& launch = frame.launch();
    return static_cast<size_t>(launch.image_files_size()) + static_cast<size_t>(launch.channels_size()) +
           (launch.has_netns() ? 1 : 0);
  }
  if (frame.has_params()) return static_cast<size_t>(frame.params().gpus_size());
  if (frame.has_tsm()) return 1;
  return 0;
}

Status FrameStream::Fill() {
  uint8_t bytes[64 << 10];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameFds)];
  iovec iov{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Ok();
    if (errno == ECONNRESET) return Err("platform.closed", "platform socket", "the peer reset the connection");
    return ErrnoError("platform.socket", "cannot read", "platform socket");
  }
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      fds_.emplace_back(fd);
    }
  }
  if (message.msg_flags & MSG_CTRUNC) {
    return Err("platform.bad-frame", "platform socket", "more than 64 descriptors with one message");
  }
  if (n == 0) return Err("platform.closed", "platform socket", "the peer closed the connection");
  if (fds_.size() > kMaxFrameFds)
    return Err("platform.bad-frame", "platform socket", "descriptors without a frame that names them");
  Append(buffer_, {bytes, static_cast<size_t>(n)});
  return Ok();
}

Result<std::optional<ReceivedFrame>> FrameStream::Pop() {
  if (buffer_.size() < 4) return std::optional<ReceivedFrame>();
  size_t length = Reader(buffer_).U32();
  if (length == 0 || length > kMaxFrame) {
    return Err("platform.bad-frame", "platform socket",
               "a frame of " + std::to_string(length) + " bytes; 1 to " + std::to_string(kMaxFrame) + " are allowed");
  }
  if (buffer_.size() < 4 + length) return std::optional<ReceivedFrame>();
  ReceivedFrame received;
  if (!received.frame.ParseFromArray(buffer_.data() + 4, static_cast<int>(length)) ||
      received.frame.body_case() == Frame::BODY_NOT_SET) {
    return Err("platform.bad-frame", "platform socket", "a frame that is not a Frame of platform.proto");
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(4 + length));
  size_t named = FdsNamedBy(received.frame);
  if (fds_.size() < named || (buffer_.empty() && fds_.size() > named)) {
    return Err(
        "platform.bad-frame", "platform socket",
        "the frame names " + std::to_string(named) + " descriptors, but " + std::to_string(fds_.size()) + " came");
  }
  for (size_t i = 0; i < named; ++i) {
    received.fds.push_back(std::move(fds_.front()));
    fds_.pop_front();
  }
  return std::optional<ReceivedFrame>(std::move(received));
}

Result<std::optional<ReceivedFrame>> FrameStream::TryReceive() {
  ASSIGN_OR_RETURN(auto ready, Pop());
  if (ready) return std::optional<ReceivedFrame>(std::move(ready));
  RETURN_IF_ERROR(Fill());
  return Pop();
}

Result<ReceivedFrame> FrameStream::Receive(std::chrono::milliseconds timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    ASSIGN_OR_RETURN(auto frame, TryReceive());
    if (frame) return std::move(*frame);
    if (!WaitFor(socket_.get(), POLLIN, deadline)) {
      return Err("platform.timeout", "platform socket", "no frame came in time");
    }
  }
}

Status FrameStream::Send(const Frame& frame, std::span<const int> fds, std::chrono::milliseconds timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  Writer writer;
  std::string body = frame.SerializeAsString();
  Bytes bytes = std::move(writer.U32(body.size()).Text(body)).Finish();
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameFds)] = {};
  if (fds.size() > kMaxFrameFds)
    return Err("platform.bad-frame", "platform socket", "more than 64 descriptors with one frame");
  size_t sent = 0;
  while (sent < bytes.size()) {
    iovec iov{bytes.data() + sent, bytes.size() - sent};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
    }
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!WaitFor(socket_.get(), POLLOUT, deadline))
        return Err("platform.timeout", "platform socket", "the peer does not read");
    } else if (n < 0 && errno != EINTR) {
      return ErrnoError("platform.socket", "cannot write", "platform socket");
    }
  }
  return Ok();
}

Status FrameStream::SendFailure(const Error& error) {
  Frame frame;
  auto* failure = frame.mutable_failure();
  failure->set_code(error.code);
  failure->set_subject(error.subject);
  failure->set_text(error.text);
  return Send(frame);
}

}  // namespace ccgpu::emulator
