#include "base/rpc/client.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <climits>
#include <deque>
#include <optional>

#include "base/rpc/link.h"
#include "base/ttrpc/socket.h"

namespace ccgpu::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{5000};  // a unix socket blocks only while its listener's queue is full

// 0 when it has passed, -1 when there is none.
int MillisLeft(std::optional<Clock::time_point> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

}  // namespace

// One connection, and what is known of the call that runs on it.
class Client::Connection final : public SessionEvents {
 public:
  Connection(Fd fd, size_t max_message)
      : link_(std::move(fd), Session::Side::kClient, {.message = max_message, .streams = 0}, *this) {}

  // Takes note of what came since the last call: GOAWAY, PING, the end.
  bool Usable() { return link_.Read() && link_.Write(); }

  // nullopt: the connection takes no call.
  bool Begin(const Headers& headers, const std::string& request) {
    const auto stream = link_.session().Open(headers);
    if (!stream) return false;
    stream_ = *stream;
    first_ = true;
    messages_.clear();
    outcome_.reset();
    done_ = false;
    link_.session().Write(stream_, request);
    link_.session().End(stream_);
    return true;
  }

  Outcome Run(const std::function<bool(const std::string&)>& on_message, std::optional<Clock::time_point> deadline,
              int cancel) {
    for (;;) {
      for (; !messages_.empty(); messages_.pop_front()) {
        if (!on_message(messages_.front())) return Abandon({Code::kCancelled, "the caller ended the call"});
      }
      if (done_) return *outcome_;
      if (outcome_ && !outcome_->ok()) return Abandon(*outcome_);
      if (!link_.Write()) return {Code::kUnavailable, "the connection is closed"};
      pollfd fds[2] = {{link_.fd(), static_cast<short>(POLLIN | (link_.wants_write() ? POLLOUT : 0)), 0},
                       {cancel, POLLIN, 0}};
      const int left = MillisLeft(deadline);
      const int ready = ::poll(fds, 2, left);
      if (fds[1].revents != 0 && ready > 0) return Abandon({Code::kCancelled, "the call was cancelled"});
      if (left == 0) return Abandon({Code::kDeadlineExceeded, "no answer in time"});
      if (ready > 0 && fds[0].revents != 0 && !link_.Read() && !done_ && messages_.empty())
        return {Code::kUnavailable, "the peer closed the connection"};
    }
  }

 private:
  Outcome Abandon(Outcome outcome) {
    if (!done_) link_.session().Reset(std::exchange(stream_, 0), NGHTTP2_CANCEL);
    (void)link_.Write();
    return outcome;
  }

  void Settle(Outcome outcome) {
    if (!outcome_) outcome_ = std::move(outcome);
  }

  void OnHeaders(int32_t stream, Headers headers) override {
    if (stream != stream_) return;
    if (auto told = ReadOutcome(headers)) {
      Settle(std::move(*told));
    } else if (const std::string* status = Find(headers, ":status"); first_ && status != nullptr && *status != "200") {
      Settle(FromHttpStatus(*status));
    }
    first_ = false;
  }
  void OnMessage(int32_t stream, std::string message) override {
    if (stream == stream_) messages_.push_back(std::move(message));
  }
  void OnBadMessage(int32_t stream, Outcome why) override {
    if (stream != stream_) return;
    if (why.code == Code::kUnimplemented) why.code = Code::kInternal;  // the server's fault, seen from here
    outcome_ = std::move(why);                                         // also over an OK
  }
  void OnEnd(int32_t) override {}
  void OnSent(int32_t) override {}
  void OnClosed(int32_t stream, uint32_t error_code) override {
    if (stream != stream_) return;
    Settle(error_code == NGHTTP2_NO_ERROR ? Outcome{Code::kUnknown, "the peer ended the call without a grpc-status"}
                                          : FromReset(error_code));
    done_ = true;
  }

  Link link_;
  int32_t stream_ = 0;
  bool first_ = true;
  std::deque<std::string> messages_;
  std::optional<Outcome> outcome_;
  bool done_ = false;
};

Client::Client(std::string socket, size_t max_message)
    : socket_(std::move(socket)), max_message_(max_message), cancel_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Client::~Client() = default;

void Client::Cancel() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(cancel_.get(), &one, sizeof one);  // never read again
}

Outcome Client::NotAMessage(const std::string& path) {
  return {Code::kInternal, "what " + path + " answered is not a message of the expected type"};
}

Outcome Client::StreamRaw(const std::string& path, const std::string& request,
                          const std::function<bool(const std::string&)>& on_message, milliseconds timeout) {
  std::optional<Clock::time_point> deadline;
  if (timeout.count() > 0) deadline = Clock::now() + timeout;
  const Headers headers = RequestHeaders(path, timeout);
  const bool sent = connection_ && connection_->Usable() && connection_->Begin(headers, request);
  if (!sent) {
    auto fd = ttrpc::ConnectUnix(socket_, deadline ? std::min(timeout, kConnectTimeout) : kConnectTimeout);
    if (!fd.ok()) return {Code::kUnavailable, fd.error().ToString()};
    connection_ = std::make_unique<Connection>(std::move(*fd), max_message_);
    if (!connection_->Begin(headers, request)) return {Code::kInternal, "a new connection takes no call"};
  }
  return connection_->Run(on_message, deadline, cancel_.get());
}

Outcome Client::CallRaw(const std::string& path, const std::string& request, std::string* response,
                        milliseconds timeout) {
  size_t messages = 0;
  Outcome outcome = StreamRaw(
      path, request,
      [&](const std::string& message) {
        *response = message;
        return ++messages == 1;
      },
      timeout);
  if (messages > 1 || (outcome.ok() && messages == 0))
    return {Code::kInternal, path + " answered with " + (messages == 0 ? "no message" : "more than one message")};
  return outcome;
}

}  // namespace ccgpu::rpc
