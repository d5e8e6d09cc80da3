#include "shim/channel/platform_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "shim/channel/fd_socket.h"

namespace ccgpu::shim {
namespace {
constexpr uint32_t kMaxFrame = 64u << 20;  // collateral is the largest thing that travels here
}

Result<PlatformChannel> PlatformChannel::Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Err("platform.unreachable", path,
               "the platform socket's path must have 1 to 107 bytes; set platform_socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int number = errno;
    return Err(
        "platform.unreachable", path,
        std::string("the secure processor does not answer (") + std::strerror(number) +
            "); is ccgpu-emulator running, and does platform_socket in the shim's configuration name its socket?");
  }
  return PlatformChannel(std::move(fd));
}

Status PlatformChannel::Send(const platform::v1::Frame& frame, const std::vector<int>& fds) {
  std::string body = frame.SerializeAsString();
  auto size = static_cast<uint32_t>(body.size());
  std::string data;
  for (int shift = 0; shift < 32; shift += 8) data.push_back(static_cast<char>(size >> shift & 0xff));
  data += body;
  return SendFdMessage(fd_.get(), data, fds);
}

Result<PlatformFrame> PlatformChannel::Receive() {
  PlatformFrame out;
  auto read_exactly = [&](size_t count) -> Result<std::string> {
    std::string data;
    while (data.size() < count) {
      ASSIGN_OR_RETURN(FdMessage piece,
                       ReceiveFdMessage(fd_.get(), std::min<size_t>(count - data.size(), 1 << 16), true));
      data += piece.data;
      for (Fd& fd : piece.fds) out.fds.push_back(std::move(fd));
    }
    return data;
  };
  ASSIGN_OR_RETURN(std::string header, read_exactly(4));
  uint32_t size = 0;
  for (size_t i = 0; i < 4; ++i) size |= static_cast<uint32_t>(static_cast<uint8_t>(header[i])) << (8 * i);
  if (size > kMaxFrame) return Err("channel.truncated", "platform", "a frame is larger than 64 MiB");
  ASSIGN_OR_RETURN(std::string body, read_exactly(size));
  if (!out.frame.ParseFromString(body)) return Err("channel.bad-frame", "platform", "the frame is not a Frame message");
  return out;
}

Result<PlatformFrame> PlatformChannel::Receive(std::chrono::milliseconds timeout) {
  pollfd poll_fd{fd_.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&poll_fd, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return Err("channel.timeout", "platform", "the secure processor did not answer in time");
  return Receive();
}

Result<PlatformFrame> PlatformChannel::Ask(const platform::v1::Frame& frame, const std::vector<int>& fds,
                                           std::chrono::milliseconds timeout) {
  RETURN_IF_ERROR(Send(frame, fds));
  ASSIGN_OR_RETURN(PlatformFrame answer, Receive(timeout));
  if (answer.frame.has_failure())
    return Error::FromWire(answer.frame.failure().code(), answer.frame.failure().subject(),
                           answer.frame.failure().text());
  return answer;
}

}  // namespace ccgpu::shim
