#include "shim/channel/fd_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kControlSize = CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage) + CMSG_SPACE(sizeof(ucred));

}  // namespace

Status SendFdMessage(int socket, std::string_view data, const std::vector<int>& fds, pid_t as_pid) {
  if (fds.size() > kMaxFdsPerMessage)
    return Err("channel.too-many-fds", "", "more descriptors than one message can carry");
  alignas(cmsghdr) char control[kControlSize] = {};
  iovec part{const_cast<char*>(data.data()), data.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  size_t used = 0;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (!fds.empty()) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    used += CMSG_SPACE(sizeof(int) * fds.size());
    header = CMSG_NXTHDR(&message, header);
  }
  if (as_pid != 0) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(ucred));
    ucred credentials{as_pid, ::getuid(), ::getgid()};
    std::memcpy(CMSG_DATA(header), &credentials, sizeof credentials);
    used += CMSG_SPACE(sizeof(ucred));
  }
  message.msg_controllen = used;
  if (used == 0) message.msg_control = nullptr;
  for (;;) {
    ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(data.size())) return Ok();
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return ErrnoError("channel.send", "send on", "the sandbox's channel");
    // A stream socket took a part: the descriptors are gone with it, the rest is plain data.
    part.iov_base = static_cast<char*>(part.iov_base) + sent;
    part.iov_len -= static_cast<size_t>(sent);
    data.remove_prefix(static_cast<size_t>(sent));
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
}

Result<FdMessage> ReceiveFdMessage(int socket, size_t max_data, bool block) {
  alignas(cmsghdr) char control[kControlSize];
  FdMessage out;
  out.data.resize(max_data);
  iovec part{out.data.data(), out.data.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count;
  do {
    count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (block ? 0 : MSG_DONTWAIT));
  } while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Err("channel.empty", "", "no message waits");
  if (count < 0) return ErrnoError("channel.receive", "receive on", "the sandbox's channel");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < fds; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        out.fds.emplace_back(fd);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
      out.sender = credentials.pid;
    }
  }
  if (count == 0 && out.fds.empty()) return Err("channel.closed", "", "the other side closed the channel");
  if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
    return Err("channel.truncated", "", "a message is larger than this side can take");
  out.data.resize(static_cast<size_t>(count));
  return out;
}

Status WantCredentials(int socket) {
  int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return ErrnoError("channel.socket", "SO_PASSCRED on", "a channel");
  return Ok();
}

Result<std::pair<Fd, Fd>> SocketPair(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0)
    return ErrnoError("channel.socket", "socketpair for", "a channel");
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

}  // namespace ccgpu::shim
