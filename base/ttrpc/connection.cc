#include "base/ttrpc/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace ccgpu::ttrpc {
namespace {
// A peer that asks without ever reading answers must not fill our memory.
constexpr size_t kMaxOutput = 64u << 20;
}  // namespace

std::string EncodeResponse(uint32_t stream, const Reply& reply, bool with_detail) {
  wire::Response response;
  if (reply.ok()) {
    response.set_payload(reply.payload);
  } else {
    response.mutable_status()->set_code(static_cast<int>(reply.code));
    response.mutable_status()->set_message(reply.message);
    if (with_detail && reply.error) {
      wire::ErrorDetail detail;
      detail.set_code(reply.error->code);
      detail.set_subject(reply.error->subject);
      detail.set_text(reply.error->text);
      auto* any = response.mutable_status()->add_details();
      any->set_type_url(kDetailType);
      any->set_value(detail.SerializeAsString());
    }
  }
  std::string data = response.SerializeAsString();
  if (data.size() > kMaxData)
    return EncodeResponse(stream, Reply::Fail(Code::kResourceExhausted, "the answer is larger than a ttrpc frame"),
                          false);
  return EncodeFrame(stream, FrameType::kResponse, 0, data);
}

void Connection::Start(std::function<void(Frame)> on_frame, std::function<void()> on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  loop_.Add(fd_.get(), EPOLLIN, [self = shared_from_this()](Loop::Events events) { self->OnEvents(events); });
}

void Connection::OnEvents(Loop::Events events) {
  bool alive = true;
  if (events & EPOLLOUT) {
    std::lock_guard lock(mutex_);
    alive = FlushLocked();
  }
  if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) alive = Receive();
  if (alive) return;
  auto self = shared_from_this();  // the loop drops its reference in Close
  Close();
  if (auto on_close = std::move(on_close_)) on_close();
}

bool Connection::Receive() {
  std::array<char, 16384> buffer;
  for (;;) {
    ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (count == 0) return false;
    std::string_view input(buffer.data(), static_cast<size_t>(count));
    Frame frame;
    while (parser_.Next(input, frame)) on_frame_(std::move(frame));
  }
}

void Connection::Send(std::string frame) {
  std::lock_guard lock(mutex_);
  if (!fd_.valid()) return;
  output_.append(frame);
  if (output_.size() > kMaxOutput) {
    ::shutdown(fd_.get(), SHUT_RDWR);  // the loop sees the end and closes
    return;
  }
  if (!wants_out_) FlushLocked();
}

bool Connection::FlushLocked() {
  while (fd_.valid() && !output_.empty()) {
    ssize_t count = ::send(fd_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wants_out_) loop_.Modify(fd_.get(), EPOLLIN | EPOLLOUT);
      wants_out_ = true;
      return true;
    }
    if (count < 0) return false;
    output_.erase(0, static_cast<size_t>(count));
  }
  if (wants_out_ && fd_.valid()) loop_.Modify(fd_.get(), EPOLLIN);
  wants_out_ = false;
  return true;
}

void Connection::Close() {
  std::lock_guard lock(mutex_);
  if (!fd_.valid()) return;
  loop_.Remove(fd_.get());
  fd_.Close();
}

}  // namespace ccgpu::ttrpc
