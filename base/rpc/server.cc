#include "base/rpc/server.h"

#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <map>
#include <set>
#include <thread>

#include "base/rpc/link.h"
#include "base/ttrpc/loop.h"
#include "base/ttrpc/socket.h"
#include "base/ttrpc/worker_pool.h"

namespace ccgpu::rpc {

using std::chrono::milliseconds;

struct Server::Core {
  explicit Core(ServerOptions o) : options(o), workers(o.max_workers) {}

  const ServerOptions options;
  ttrpc::Loop loop;
  ttrpc::WorkerPool workers;
  std::thread thread;
  std::map<std::string, Handler> methods;
  std::string socket;
  Fd listener;
  std::set<std::shared_ptr<Connection>> connections;  // the loop's

  std::mutex mutex;
  std::condition_variable ended;
  size_t running = 0;  // calls that wait for a worker or have one
  bool stopped = false;

  void Accept();
  void Dispatch(const std::shared_ptr<Call>& call, const Handler& handler);
};

// Between the loop's thread, where its connection lives, and its handler's.
class Server::Call final : public ServerCall, public std::enable_shared_from_this<Call> {
 public:
  Call(Core& core, std::weak_ptr<Connection> connection, int32_t stream)
      : core_(core), connection_(std::move(connection)), stream_(stream) {}

  bool Write(const std::string& message) override;
  bool cancelled() const override {
    std::lock_guard lock(mutex_);
    return over_;
  }
  void Finish(Outcome outcome);

  void NoteSent() {
    std::lock_guard lock(mutex_);
    sending_ = false;
    changed_.notify_all();
  }
  void NoteOver() {
    std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

  // The loop's; `request` is the handler's once it runs.
  std::string path, request;
  size_t messages = 0;
  ttrpc::Loop::TimerId deadline = 0;

 private:
  Core& core_;
  const std::weak_ptr<Connection> connection_;
  const int32_t stream_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool sending_ = false, over_ = false;
};

// On the loop's thread only.
class Server::Connection final : public SessionEvents, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Fd fd, Core& core)
      : core_(core), link_(std::move(fd), Session::Side::kServer, {.message = core.options.max_message}, *this) {}

  void Start() {
    core_.loop.Add(link_.fd(), EPOLLIN, [self = shared_from_this()](ttrpc::Loop::Events events) {
      const bool alive = (events & ~uint32_t{EPOLLOUT}) == 0 || self->link_.Read();
      self->Flush(alive);
    });
    Flush(true);
  }

  void Write(int32_t stream, const std::string& message) {
    link_.session().Write(stream, message);
    Flush(true);
  }

  void Finish(int32_t stream, const Outcome& outcome) {
    End(stream, outcome);
    Flush(true);
  }

  void GoAway() {
    link_.session().GoAway();
    Flush(true);
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    core_.loop.Remove(link_.fd());
    while (!calls_.empty()) Forget(calls_.begin()->first);
    core_.connections.erase(shared_from_this());
  }

 private:
  void Flush(bool alive) {
    if (closed_) return;
    if (!alive || !link_.Write()) return Close();
    core_.loop.Modify(link_.fd(), link_.wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  // A response may have begun or not.
  void End(int32_t stream, const Outcome& outcome) {
    if (!calls_.contains(stream)) return;
    link_.session().End(stream, Trailers(outcome));
    Forget(stream);
  }

  void Forget(int32_t stream) {
    const auto it = calls_.find(stream);
    if (it == calls_.end()) return;
    const auto call = std::move(it->second);
    calls_.erase(it);
    if (call->deadline != 0) core_.loop.Cancel(call->deadline);
    call->NoteOver();
  }

  std::shared_ptr<Call> FindCall(int32_t stream) {
    const auto it = calls_.find(stream);
    return it == calls_.end() ? nullptr : it->second;
  }

  void OnHeaders(int32_t stream, Headers headers) override {
    if (calls_.contains(stream)) return;  // trailers of a request mean nothing here
    const Asked asked = ReadRequest(headers);
    if (asked.http_status != 200) {
      link_.session().Respond(stream, {{":status", std::to_string(asked.http_status)}});
      link_.session().End(stream);
      return;
    }
    link_.session().Respond(stream, ResponseHeaders());
    auto call = calls_[stream] = std::make_shared<Call>(core_, weak_from_this(), stream);
    call->path = asked.path;
    if (asked.timeout) {
      call->deadline = core_.loop.After(*asked.timeout, [weak = weak_from_this(), stream] {
        if (auto self = weak.lock())
          self->Finish(stream, {Code::kDeadlineExceeded, "the caller's deadline has passed"});
      });
    }
    if (!core_.methods.contains(asked.path)) End(stream, {Code::kUnimplemented, "there is no method " + asked.path});
  }

  void OnMessage(int32_t stream, std::string message) override {
    const auto call = FindCall(stream);
    if (!call || ++call->messages > 1) return;
    call->request = std::move(message);
  }

  void OnBadMessage(int32_t stream, Outcome why) override { End(stream, why); }

  void OnEnd(int32_t stream) override {
    const auto call = FindCall(stream);
    if (!call) return;
    if (call->messages != 1)
      return End(stream, {Code::kUnimplemented,
                          "a request of " + std::to_string(call->messages) + " messages; the method takes one"});
    core_.Dispatch(call, core_.methods.at(call->path));
  }

  void OnSent(int32_t stream) override {
    if (const auto call = FindCall(stream)) call->NoteSent();
  }
  void OnClosed(int32_t stream, uint32_t) override { Forget(stream); }

  Core& core_;
  Link link_;
  std::map<int32_t, std::shared_ptr<Call>> calls_;  // that are not ended
  bool closed_ = false;
};

bool Server::Call::Write(const std::string& message) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !sending_ || over_; });
    if (over_) return false;
    sending_ = true;
  }
  core_.loop.Post([weak = connection_, stream = stream_, message] {
    if (auto connection = weak.lock()) connection->Write(stream, message);
  });
  return true;
}

void Server::Call::Finish(Outcome outcome) {
  core_.loop.Post([weak = connection_, stream = stream_, outcome = std::move(outcome)] {
    if (auto connection = weak.lock()) connection->Finish(stream, outcome);
  });
}

void Server::Core::Accept() {
  Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;  // the peer left before we came, or the table is full: it tries again
  auto connection = std::make_shared<Connection>(std::move(fd), *this);
  connections.insert(connection);
  connection->Start();
}

void Server::Core::Dispatch(const std::shared_ptr<Call>& call, const Handler& handler) {
  {
    std::lock_guard lock(mutex);
    if (running >= 10 * options.max_workers)
      return call->Finish({Code::kResourceExhausted, "too many calls wait for an answer"});
    running++;
  }
  workers.Run([this, call, &handler] {
    if (!call->cancelled()) call->Finish(handler(call->request, *call));
    std::lock_guard lock(mutex);
    running--;
    ended.notify_all();
  });
}

Server::Server(ServerOptions options) : core_(std::make_shared<Core>(options)) {}
Server::~Server() { Stop(); }

Outcome Server::NotAMessage() { return {Code::kInternal, "the request is not a message of the expected type"}; }

void Server::Register(std::string path, Handler handler) { core_->methods[std::move(path)] = std::move(handler); }

Result<void> Server::Serve(const std::string& socket) {
  ASSIGN_OR_RETURN(core_->listener, ttrpc::ListenUnix(socket));
  core_->socket = socket;
  ttrpc::SetNonBlocking(core_->listener.get());
  core_->loop.Add(core_->listener.get(), EPOLLIN, [core = core_.get()](ttrpc::Loop::Events) { core->Accept(); });
  core_->thread = std::thread([core = core_.get()] { core->loop.Run(); });
  return Ok();
}

void Server::Stop(milliseconds grace) {
  Core& core = *core_;
  {
    std::lock_guard lock(core.mutex);
    if (std::exchange(core.stopped, true)) return;
  }
  if (!core.socket.empty()) ::unlink(core.socket.c_str());
  core.loop.Post([&core] {
    if (core.listener.valid()) core.loop.Remove(core.listener.get());
    core.listener.Close();
    for (const auto& connection : std::set(core.connections)) connection->GoAway();
  });
  {
    std::unique_lock lock(core.mutex);
    core.ended.wait_for(lock, grace, [&core] { return core.running == 0; });
  }
  // The loop does its work in order: what the handlers said last goes out before their connections close.
  core.loop.Post([&core] {
    for (const auto& connection : std::set(core.connections)) connection->Close();
  });
  core.workers.Stop();
  core.loop.Stop();
  if (core.thread.joinable()) core.thread.join();
}

}  // namespace ccgpu::rpc
