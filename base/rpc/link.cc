#include "base/rpc/link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/ttrpc/socket.h"

namespace ccgpu::rpc {
namespace {

constexpr size_t kGather = 16 << 10;  // frames are small; the kernel gets several at once
constexpr size_t kReadAtOnce = 4;     // buffers; then other connections have their turn

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

Link::Link(Fd fd, Session::Side side, Session::Limits limits, SessionEvents& events)
    : fd_(std::move(fd)), session_(side, limits, events) {
  ttrpc::SetNonBlocking(fd_.get());
}

bool Link::Read() {
  std::array<char, 16384> buffer;
  for (size_t i = 0; i < kReadAtOnce; ++i) {
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return WouldBlock();
    if (count == 0) return false;
    if (!session_.Receive({buffer.data(), static_cast<size_t>(count)})) {
      (void)Write();  // the GOAWAY that says why
      return false;
    }
  }
  return true;
}

bool Link::Write() {
  for (;;) {
    if (!wants_write()) {
      output_.clear();
      sent_ = 0;
      while (output_.size() < kGather) {
        const std::string_view piece = session_.Produce();
        if (piece.empty()) break;
        output_.append(piece);
      }
      if (output_.empty()) return session_.alive();
    }
    const ssize_t count =
        ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return WouldBlock();
    sent_ += static_cast<size_t>(count);
  }
}

}  // namespace ccgpu::rpc
