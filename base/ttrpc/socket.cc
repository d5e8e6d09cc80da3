#include "base/ttrpc/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace ccgpu::ttrpc {
namespace {

Result<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Err("ttrpc.bad-path", path, "a unix socket's path has 1 to 107 bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Result<Fd> ListenUnix(const std::string& path) {
  ASSIGN_OR_RETURN(sockaddr_un address, Address(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError("ttrpc.socket", "socket for", path);
  auto bind = [&] { return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address); };
  // The mode must be right from the first moment on; fchmod before bind is what Linux takes for the file's mode.
  ::fchmod(fd.get(), 0600);
  if (bind() != 0) {
    if (errno != EADDRINUSE) return ErrnoError("ttrpc.socket", "bind", path);
    if (ConnectUnix(path, std::chrono::milliseconds(100)).ok())
      return Err("ttrpc.in-use", path, "another program already serves this socket");
    ::unlink(path.c_str());
    if (bind() != 0) return ErrnoError("ttrpc.socket", "bind", path);
  }
  ::chmod(path.c_str(), 0600);
  if (::listen(fd.get(), 128) != 0) return ErrnoError("ttrpc.socket", "listen on", path);
  return fd;
}

Result<Fd> ConnectUnix(const std::string& path, std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(sockaddr_un address, Address(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError("ttrpc.socket", "socket for", path);
  // A unix connect blocks only while the listener's queue is full; SO_SNDTIMEO bounds that.
  timeval limit{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  while (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return ErrnoError("ttrpc.connect", "connect to", path);
  }
  timeval none{};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  return fd;
}

bool PeerIsSameUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

void SetNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace ccgpu::ttrpc
