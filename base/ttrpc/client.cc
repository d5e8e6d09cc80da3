#include "base/ttrpc/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "base/ttrpc/connection.h"
#include "base/ttrpc/frame.h"
#include "base/ttrpc/socket.h"

namespace ccgpu::ttrpc {
namespace {

using Clock = std::chrono::steady_clock;

Reply Decode(const Frame& frame) {
  wire::Response response;
  if (frame.oversized) return Reply::Fail(Code::kResourceExhausted, "the answer is larger than a ttrpc frame");
  if (!response.ParseFromString(frame.data)) return Reply::Fail(Code::kInternal, "the answer is not a ttrpc response");
  if (!response.has_status() || response.status().code() == 0) return Reply::Ok(std::move(*response.mutable_payload()));
  Reply reply = Reply::Fail(static_cast<Code>(response.status().code()), response.status().message());
  for (const auto& any : response.status().details()) {
    wire::ErrorDetail detail;
    if (any.type_url() == kDetailType && detail.ParseFromString(any.value()))
      reply.error = Error::FromWire(detail.code(), detail.subject(), detail.text());
  }
  return reply;
}

}  // namespace

Error Reply::ToError(const std::string& subject) const {
  if (error) return *error;
  if (code == Code::kUnavailable) return Err("ttrpc.closed", subject, message);
  if (code == Code::kDeadlineExceeded) return Err("ttrpc.timeout", subject, message);
  return Err("ttrpc.status", subject, message + " (code " + std::to_string(static_cast<int>(code)) + ")");
}

struct Client::Core {
  explicit Core(Fd f) : fd(std::move(f)) {}

  Fd fd;
  std::mutex mutex;
  std::condition_variable changed;
  std::mutex write_mutex;
  std::map<std::string, std::string> metadata;
  std::map<uint32_t, std::optional<Reply>> waiting;
  uint32_t next_stream = 1;
  bool reading = false;  // one of the waiting callers reads for all
  bool closed = false;
  FrameParser parser;  // the reader's

  bool Write(const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      ssize_t count = ::send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        pollfd poll_fd{fd.get(), POLLOUT, 0};
        ::poll(&poll_fd, 1, -1);
        continue;
      }
      if (count <= 0) return false;
      sent += static_cast<size_t>(count);
    }
    return true;
  }

  // Waits for input until `deadline` and files what came. False: the connection is over.
  bool ReadSome(std::optional<Clock::time_point> deadline) {
    int wait = -1;
    if (deadline) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      wait = left < 0 ? 0 : static_cast<int>(left);
    }
    pollfd poll_fd{fd.get(), POLLIN, 0};
    int ready = ::poll(&poll_fd, 1, wait);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return true;
    std::array<char, 16384> buffer;
    ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    std::string_view input(buffer.data(), static_cast<size_t>(count));
    Frame frame;
    while (parser.Next(input, frame)) {
      if (frame.type != static_cast<uint8_t>(FrameType::kResponse)) continue;
      std::lock_guard lock(mutex);
      auto it = waiting.find(frame.stream);
      if (it != waiting.end()) it->second = Decode(frame);  // else: its caller has given up
    }
    return true;
  }

  Reply Await(uint32_t stream, std::optional<Clock::time_point> deadline) {
    std::unique_lock lock(mutex);
    for (;;) {
      auto& slot = waiting[stream];
      if (slot || closed || (deadline && Clock::now() >= *deadline)) {
        Reply reply = slot     ? std::move(*slot)
                      : closed ? Reply::Fail(Code::kUnavailable, "the connection is closed")
                               : Reply::Fail(Code::kDeadlineExceeded, "no answer in time");
        waiting.erase(stream);
        changed.notify_all();  // the next caller may have to read
        return reply;
      }
      if (reading) {
        if (deadline) changed.wait_until(lock, *deadline);
        else changed.wait(lock);
        continue;
      }
      reading = true;
      lock.unlock();
      bool alive = ReadSome(deadline);
      lock.lock();
      reading = false;
      if (!alive) closed = true;
      changed.notify_all();
    }
  }
};

Client::Client(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::ConnectUnix(const std::string& path, std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(Fd fd, ttrpc::ConnectUnix(path, timeout));
  return FromFd(std::move(fd));
}

Client Client::FromFd(Fd connection) { return Client(std::make_unique<Core>(std::move(connection))); }

void Client::SetMetadata(std::string key, std::string value) { core_->metadata[std::move(key)] = std::move(value); }

Reply Client::CallRaw(const std::string& service, const std::string& method, std::string payload,
                      std::chrono::milliseconds timeout) {
  wire::Request request;
  request.set_service(service);
  request.set_method(method);
  request.set_payload(std::move(payload));
  request.set_timeout_nano(std::chrono::nanoseconds(timeout).count());
  auto add = [&request](const std::string& key, const std::string& value) {
    auto* pair = request.add_metadata();
    pair->set_key(key);
    pair->set_value(value);
  };
  add(kWantsDetail, "1");
  for (const auto& [key, value] : core_->metadata) add(key, value);
  std::string data = request.SerializeAsString();
  if (data.size() > kMaxData) return Reply::Fail(Code::kResourceExhausted, "the request is larger than a ttrpc frame");

  std::optional<Clock::time_point> deadline;
  if (timeout.count() > 0) deadline = Clock::now() + timeout;
  uint32_t stream;
  {
    // Streams must reach the peer in rising order, so number and send under one lock.
    std::lock_guard write_lock(core_->write_mutex);
    {
      std::lock_guard lock(core_->mutex);
      if (core_->closed) return Reply::Fail(Code::kUnavailable, "the connection is closed");
      stream = core_->next_stream;
      core_->next_stream += 2;
      core_->waiting[stream] = std::nullopt;
    }
    if (!core_->Write(EncodeFrame(stream, FrameType::kRequest, 0, data))) {
      std::lock_guard lock(core_->mutex);
      core_->closed = true;
      core_->changed.notify_all();
    }
  }
  return core_->Await(stream, deadline);
}

void Client::Close() {
  std::lock_guard lock(core_->mutex);
  core_->closed = true;
  ::shutdown(core_->fd.get(), SHUT_RDWR);
  core_->changed.notify_all();
}

}  // namespace ccgpu::ttrpc
