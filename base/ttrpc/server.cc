#include "base/ttrpc/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/ttrpc/connection.h"
#include "base/ttrpc/socket.h"
#include "base/ttrpc/worker_pool.h"

namespace ccgpu::ttrpc {
namespace {

// 0 when there is no such file.
ino_t InodeOf(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

struct Completion::State {
  std::shared_ptr<Connection> connection;
  uint32_t stream;
  bool wants_detail;
  std::atomic<bool> answered = false;

  void Answer(const Reply& reply) {
    if (!answered.exchange(true)) connection->Send(EncodeResponse(stream, reply, wants_detail));
  }
  ~State() { Answer(Reply::Fail(Code::kInternal, "the handler gave no answer")); }
};

Completion::Completion(std::shared_ptr<Connection> connection, uint32_t stream, bool wants_detail)
    : state_(new State{std::move(connection), stream, wants_detail}) {}

void Completion::Finish(const Reply& reply) const { state_->Answer(reply); }

struct Server::Core {
  explicit Core(ServerOptions o) : options(o), workers(o.max_workers) {}

  ServerOptions options;
  Loop loop;
  WorkerPool workers;
  std::thread thread;
  std::map<std::string, std::map<std::string, AsyncHandler>> methods;
  std::mutex mutex;
  std::set<std::shared_ptr<Connection>> connections;
  std::map<int, Fd> listeners;
  std::string socket_path;
  ino_t socket_inode = 0;
  bool stopped = false;

  void Start() {
    if (!thread.joinable()) thread = std::thread([this] { loop.Run(); });
  }

  void Accept(int listener) {
    Fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;  // the peer left before we came, or the table is full: it tries again
    if (options.require_same_user && !PeerIsSameUser(fd.get())) {
      log::Warning("refused a connection of another user");
      return;
    }
    Open(std::move(fd), nullptr);
  }

  void Open(Fd fd, std::function<void()> on_close) {
    auto connection = std::make_shared<Connection>(std::move(fd), loop);
    {
      std::lock_guard lock(mutex);
      if (stopped) return;
      connections.insert(connection);
    }
    std::weak_ptr<Connection> weak = connection;
    connection->Start(
        [this, weak](Frame frame) {
          if (auto self = weak.lock()) Dispatch(self, std::move(frame));
        },
        [this, weak, on_close = std::move(on_close)] {
          {
            std::lock_guard lock(mutex);
            connections.erase(weak.lock());
          }
          if (on_close) on_close();
        });
  }

  void Refuse(const std::shared_ptr<Connection>& to, uint32_t stream, Code code, std::string message) {
    to->Send(EncodeResponse(stream, Reply::Fail(code, std::move(message)), false));
  }

  void Dispatch(const std::shared_ptr<Connection>& from, Frame frame) {
    if (frame.type != static_cast<uint8_t>(FrameType::kRequest))
      return;  // no streams here; old servers ignore them too
    if (frame.stream % 2 == 0)
      return Refuse(from, frame.stream, Code::kInvalidArgument, "StreamID must be odd for client initiated streams");
    if (frame.stream <= from->last_stream)
      return Refuse(from, frame.stream, Code::kInvalidArgument, "StreamID cannot be re-used and must increment");
    from->last_stream = frame.stream;
    if (frame.oversized)
      return Refuse(from, frame.stream, Code::kResourceExhausted,
                    "message length " + std::to_string(frame.oversized) + " exceed maximum message size of " +
                        std::to_string(kMaxData));
    auto request = std::make_shared<wire::Request>();
    if (!request->ParseFromString(frame.data))
      return Refuse(from, frame.stream, Code::kInternal, "ttrpc: error unmarshalling request");
    if (frame.flags != 0) return Refuse(from, frame.stream, Code::kUnimplemented, "streams are not supported");
    auto service = methods.find(request->service());
    if (service == methods.end())
      return Refuse(from, frame.stream, Code::kUnimplemented, "service " + request->service());
    auto method = service->second.find(request->method());
    if (method == service->second.end())
      return Refuse(from, frame.stream, Code::kUnimplemented, "method " + request->method());
    CallContext context{request->service(), request->method(), request->timeout_nano(), {}};
    for (const auto& pair : request->metadata()) context.metadata[pair.key()] = pair.value();
    bool detail = context.metadata.count(kWantsDetail) > 0;
    method->second(request->payload(), context, Completion(from, frame.stream, detail));
  }
};

Server::Server(ServerOptions options) : core_(std::make_shared<Core>(options)) {}
Server::~Server() { Stop(); }
Loop& Server::loop() { return core_->loop; }

void Server::RegisterAsync(const std::string& service, const std::string& method, AsyncHandler handler) {
  core_->methods[service][method] = std::move(handler);
}

void Server::Register(const std::string& service, const std::string& method, Handler handler) {
  auto shared = std::make_shared<Handler>(std::move(handler));
  Core* core = core_.get();  // its workers end before it does
  RegisterAsync(service, method, [shared, core](std::string_view payload, const CallContext& context, Completion done) {
    core->workers.Run([shared, payload = std::string(payload), context, done = std::move(done)] {
      done.Finish((*shared)(payload, context));
    });
  });
}

Status Server::ServeUnix(const std::string& path) {
  ASSIGN_OR_RETURN(Fd listener, ListenUnix(path));
  core_->socket_path = path;
  core_->socket_inode = InodeOf(path);
  return ServeListener(std::move(listener));
}

Status Server::ServeUnixTakingOver(const std::string& path) {
  const std::string beside = path + "." + std::to_string(::getpid());
  ASSIGN_OR_RETURN(Fd listener, ListenUnix(beside));
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    Error error = ErrnoError("ttrpc.socket", "take over", path);
    ::unlink(beside.c_str());
    return error;
  }
  core_->socket_path = path;
  core_->socket_inode = InodeOf(path);
  return ServeListener(std::move(listener));
}

Status Server::ServeListener(Fd listener) {
  int fd = listener.get();
  SetNonBlocking(fd);
  core_->listeners[fd] = std::move(listener);
  core_->loop.Add(fd, EPOLLIN, [core = core_.get(), fd](Loop::Events) { core->Accept(fd); });
  core_->Start();
  return Ok();
}

Status Server::ServeFd(Fd connection, std::function<void()> on_close) {
  SetNonBlocking(connection.get());
  core_->Open(std::move(connection), std::move(on_close));
  core_->Start();
  return Ok();
}

void Server::Stop() {
  std::set<std::shared_ptr<Connection>> connections;
  {
    std::lock_guard lock(core_->mutex);
    if (core_->stopped) return;
    core_->stopped = true;
  }
  core_->workers.Stop();  // answers of running handlers still go out
  core_->loop.Post([this] {
    for (auto& [fd, listener] : core_->listeners) core_->loop.Remove(fd);
    core_->listeners.clear();
  });
  core_->loop.Stop();
  if (core_->thread.joinable()) core_->thread.join();
  {
    std::lock_guard lock(core_->mutex);
    connections.swap(core_->connections);
  }
  for (auto& connection : connections) connection->Close();
  // Somebody may have taken the path over meanwhile.
  if (!core_->socket_path.empty() && InodeOf(core_->socket_path) == core_->socket_inode)
    ::unlink(core_->socket_path.c_str());
  core_->socket_path.clear();
}

}  // namespace ccgpu::ttrpc
