#include "gpu-emulator/guest/driver/driver_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <list>
#include <set>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "gpu-emulator/guest/socket/seqpacket.h"

namespace ccgpu::driver {
namespace {

using socket::Op;

constexpr int kMaxConnections = 64;

Error BadRequest() {
  return Err("driver.bad-request", "driver socket", "the request is malformed or names a GPU that is not here");
}

}  // namespace

struct DriverServer::Impl {
  struct Connection {
    Fd fd;
    std::thread thread;
    std::atomic<bool> done = false;
    std::set<std::pair<uint32_t, uint32_t>> channels;  // gpu, channel: closed with the connection
  };

  ServerOptions options;
  Fd listener, wake;
  std::thread thread;
  std::list<Connection> connections;  // the accepting thread's

  ~Impl();
  Status Listen();
  void Accept();
  void ServeOne(Connection& connection);
  Result<Bytes> Handle(Connection& connection, ByteView request, int& fd);
  Result<Bytes> OpenChannel(Connection& connection, uint32_t gpu, int& fd);
};

DriverServer::DriverServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DriverServer::~DriverServer() = default;

Result<std::unique_ptr<DriverServer>> DriverServer::Start(ServerOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  RETURN_IF_ERROR(impl->Listen());
  impl->thread = std::thread([raw = impl.get()] { raw->Accept(); });
  return std::unique_ptr<DriverServer>(new DriverServer(std::move(impl)));
}

Status DriverServer::Impl::Listen() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.path.size() >= sizeof address.sun_path)
    return Err("driver.io", options.path, "is too long for a socket name");
  std::memcpy(address.sun_path, options.path.c_str(), options.path.size() + 1);
  listener = Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  wake = Fd(::eventfd(0, EFD_CLOEXEC));
  ::unlink(options.path.c_str());
  ::fchmod(listener.get(), 0);  // nobody connects before the mode is set
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(options.path.c_str(), options.mode) != 0 || ::listen(listener.get(), 16) != 0) {
    return ErrnoError("driver.io", "cannot listen on", options.path);
  }
  return Ok();
}

DriverServer::Impl::~Impl() {
  const uint64_t one = 1;
  if (wake.valid()) (void)!::write(wake.get(), &one, sizeof one);
  if (thread.joinable()) thread.join();
  for (Connection& connection : connections) ::shutdown(connection.fd.get(), SHUT_RDWR);
  for (Connection& connection : connections) connection.thread.join();
  if (listener.valid()) ::unlink(options.path.c_str());
}

void DriverServer::Impl::Accept() {
  for (;;) {
    pollfd polled[2] = {{listener.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    for (auto it = connections.begin(); it != connections.end();) {
      if (!it->done) {
        ++it;
        continue;
      }
      it->thread.join();
      it = connections.erase(it);
    }
    if (polled[0].revents == 0) continue;
    Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid() || connections.size() >= kMaxConnections) continue;
    Connection& connection = connections.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, &connection] { ServeOne(connection); });
  }
}

void DriverServer::Impl::ServeOne(Connection& connection) {
  for (;;) {
    auto request = socket::Receive(connection.fd.get(), socket::kMaxMessage);
    if (!request.ok()) break;
    int fd = -1;
    const Result<Bytes> answer = Handle(connection, request->bytes, fd);
    Bytes message = link::EncodeAnswer(answer);
    const Status sent = socket::Send(connection.fd.get(), message, answer.ok() ? fd : -1);
    Wipe(message);
    if (!sent.ok()) break;
  }
  for (const auto& [gpu, channel] : connection.channels) (void)options.gpus[gpu]->CloseChannel(channel);
  ::shutdown(connection.fd.get(), SHUT_RDWR);
  connection.done = true;
}

Result<Bytes> DriverServer::Impl::Handle(Connection& connection, ByteView request, int& fd) {
  Reader in(request);
  const auto op = static_cast<Op>(in.U32());
  const auto all_ready = [this] {
    for (const auto& gpu : options.gpus) {
      if (!gpu->ready()) return false;
    }
    return true;
  };
  if (op == Op::kHello) {
    const uint32_t version = in.U32();
    if (!in.AtEnd() || version != socket::kProtocolVersion)
      return Err("driver.version", "driver socket", "speaks version 1 only");
    Writer out;
    out.U32(socket::kProtocolVersion).U32(options.gpus.size()).U8(options.may_set_ready);
    return std::move(out).Finish();
  }
  if (op == Op::kGetReady) return Bytes{static_cast<uint8_t>(all_ready() ? 1 : 0)};
  if (op == Op::kSetReady) {
    const uint8_t value = in.U8();
    if (!in.AtEnd() || value > 1) return BadRequest();
    if (!options.may_set_ready) return Err("gpu.not-permitted", "ready state", "only the pod's agent may set it");
    for (const auto& gpu : options.gpus) RETURN_IF_ERROR(gpu->SetReady(value == 1));
    return Bytes();
  }
  const uint32_t index = in.U32();
  if (!in.ok() || index >= options.gpus.size()) return BadRequest();
  GuestDriver& gpu = *options.gpus[index];
  switch (op) {
    case Op::kInfo: {
      if (!in.AtEnd()) return BadRequest();
      ASSIGN_OR_RETURN(const socket::GpuInfo info, gpu.Info());
      return link::Encode(info);
    }
    case Op::kOpenChannel: {
      if (!in.AtEnd()) return BadRequest();
      return OpenChannel(connection, index, fd);
    }
    case Op::kCloseChannel: {
      const uint32_t channel = in.U32();
      if (!in.AtEnd() || connection.channels.erase({index, channel}) == 0) return BadRequest();
      RETURN_IF_ERROR(gpu.CloseChannel(channel));
      return Bytes();
    }
    case Op::kAttest: {
      const ByteView nonce = in.Take(32);
      if (!in.AtEnd()) return BadRequest();
      ASSIGN_OR_RETURN(Evidence evidence, gpu.Attest(nonce));
      return std::move(evidence.report);
    }
    case Op::kChain: {
      if (!in.AtEnd()) return BadRequest();
      ASSIGN_OR_RETURN(const std::string pem, gpu.ChainPem());
      return ToBytes(AsBytes(pem));
    }
    case Op::kHello:
    case Op::kGetReady:
    case Op::kSetReady: break;
  }
  return BadRequest();
}

Result<Bytes> DriverServer::Impl::OpenChannel(Connection& connection, uint32_t gpu, int& fd) {
  ASSIGN_OR_RETURN(socket::ChannelGrant grant, options.gpus[gpu]->OpenChannel());
  connection.channels.insert({gpu, grant.channel});
  fd = options.gpus[gpu]->link_fd();
  Bytes out = socket::Encode(grant);
  grant.Wipe();
  return out;
}

}  // namespace ccgpu::driver
