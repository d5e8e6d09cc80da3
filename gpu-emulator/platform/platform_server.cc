#include "gpu-emulator/platform/platform_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/log.h"

namespace ccgpu::emulator {
namespace {

Result<Fd> BindSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Err("platform.socket", path, "a socket's path may have at most 107 bytes");
  path.copy(address.sun_path, path.size());
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.valid() && connect(probe.get(), raw, sizeof address) == 0) {
    return Err("platform.socket-in-use", path, "another emulator answers there; stop it or use another --run folder");
  }
  unlink(path.c_str());
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return ErrnoError("platform.socket", "cannot make", path);
  fchmod(listener.get(), 0600);  // before bind: the file never exists with wider rights
  if (bind(listener.get(), raw, sizeof address) != 0) return ErrnoError("platform.socket", "cannot bind", path);
  if (chmod(path.c_str(), 0600) != 0 || listen(listener.get(), 128) != 0)
    return ErrnoError("platform.socket", "cannot listen on", path);
  return listener;
}

// The mount namespace of the process that connected, if it may connect.
Result<Fd> AdmitPeer(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return ErrnoError("platform.peer", "cannot identify", "the peer");
  if (peer.uid != 0 && peer.uid != geteuid()) {
    return Err("platform.peer", "uid " + std::to_string(peer.uid),
               "only root or the emulator's own user may launch sandboxes");
  }
  const std::string path = "/proc/" + std::to_string(peer.pid) + "/ns/mnt";
  Fd mounts(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mounts.valid()) return ErrnoError("platform.peer", "cannot open", path);
  return mounts;
}

}  // namespace

Result<std::unique_ptr<PlatformServer>> PlatformServer::Listen(const std::string& socket_path, PlatformParts& parts) {
  ASSIGN_OR_RETURN(Fd listener, BindSocket(socket_path));
  Fd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return ErrnoError("platform.socket", "cannot make an eventfd for", socket_path);
  std::unique_ptr<PlatformServer> server(new PlatformServer(parts, socket_path, std::move(listener), std::move(stop)));
  server->accepting_ = std::thread([raw = server.get()] { raw->AcceptLoop(); });
  return server;
}

void PlatformServer::AcceptLoop() {
  for (;;) {
    pollfd p[2] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(p, 2, -1) < 0) continue;
    if (p[1].revents != 0) return;
    Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    workers_.remove_if([](Worker& worker) {
      if (!worker.done) return false;
      worker.thread.join();
      return true;
    });
    if (!connection.valid()) continue;
    Worker& worker = workers_.emplace_back();
    worker.thread = std::thread([this, &worker, fd = std::move(connection)]() mutable {
      Serve(std::move(fd));
      worker.done = true;
    });
  }
}

void PlatformServer::Serve(Fd connection) {
  auto mounts = AdmitPeer(connection.get());
  if (!mounts.ok()) {
    log::Warning("platform connection refused", {{"reason", mounts.error().ToString()}});
    (void)FrameStream(std::move(connection)).SendFailure(mounts.error());
    return;
  }
  Sandbox(parts_, std::move(connection), std::move(*mounts), stop_.get()).Run();
}

PlatformServer::~PlatformServer() {
  uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof one) != sizeof one) std::abort();  // an eventfd at 0 always takes 1
  accepting_.join();
  for (Worker& worker : workers_) worker.thread.join();
  unlink(path_.c_str());
}

}  // namespace ccgpu::emulator
