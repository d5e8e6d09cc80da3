#include "shim/guest/host_link.h"

#include <time.h>

#include <cstring>

#include "base/log.h"
#include "shim/api/names.h"
#include "shim/channel/fd_socket.h"

namespace ccgpu::shim {
namespace {
constexpr auto kTimeout = std::chrono::seconds(10);
constexpr size_t kMaxParkedStreams = 256;
}  // namespace

HostLink::HostLink(Fd host, Fd pids)
    : client_(ttrpc::Client::FromFd(std::move(host))), pids_(std::move(pids)), thread_([this] { Send(); }) {
  thread_.detach();  // lives as long as guestd, which is as long as the sandbox
}

void HostLink::Send() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty(); });
    auto next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    next();
  }
}

void HostLink::Exited(const std::string& id, const std::string& exec_id, int status) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  v1::ExitedRequest request;
  request.set_id(id);
  request.set_exec_id(exec_id);
  request.set_status(static_cast<uint32_t>(status));
  request.set_seconds(now.tv_sec);
  request.set_nanos(static_cast<int32_t>(now.tv_nsec));
  std::lock_guard lock(mutex_);
  queue_.push_back([this, request] { (void)client_.Call<v1::Empty>(kHostService, "Exited", request, kTimeout); });
  changed_.notify_one();
}

void HostLink::Event(const std::string& component, const std::string& code, const std::string& message,
                     const std::string& subject) {
  // The agent writes its own lines.
  if (component == "ccgpu-guestd") log::Info(message, {{"code", code}, {"subject", subject}});
  v1::EventRequest request;
  request.set_component(component);
  request.set_code(code);
  request.set_message(message);
  request.set_subject(subject);
  std::lock_guard lock(mutex_);
  queue_.push_back([this, request] { (void)client_.Call<v1::Empty>(kHostService, "Event", request, kTimeout); });
  changed_.notify_one();
}

Status HostLink::TellPid(uint64_t token, pid_t pid) {
  return SendFdMessage(pids_.get(), std::string_view(reinterpret_cast<const char*>(&token), sizeof token), {}, pid);
}

Result<HostStreams> HostLink::TakeStreams(const v1::Stdio& stdio) {
  HostStreams out;
  if (stdio.token() == 0) return out;
  std::lock_guard lock(streams_mutex_);
  while (streams_.count(stdio.token()) == 0) {
    auto message = ReceiveFdMessage(pids_.get(), 64, false);  // sent before the request, so it is here
    if (!message.ok()) return Err("channel.no-streams", "", "the host half sent no descriptors for this process");
    uint64_t token;
    if (message->data.size() != sizeof token) return Err("channel.bad-frame", "pids", "expected a token of 8 bytes");
    std::memcpy(&token, message->data.data(), sizeof token);
    if (streams_.size() >= kMaxParkedStreams) streams_.clear();  // a host that sends and never asks only harms itself
    streams_[token] = std::move(message->fds);
  }
  auto fds = std::move(streams_[stdio.token()]);
  streams_.erase(stdio.token());
  bool has_stdin = stdio.has_stdin() && !stdio.stdin_later();
  size_t wanted = size_t{has_stdin} + stdio.has_stdout() + stdio.has_stderr();
  if (fds.size() != wanted)
    return Err("channel.no-streams", "", "the host half sent another number of descriptors than announced");
  size_t next = 0;
  if (has_stdin) out.in = std::move(fds[next++]);
  if (stdio.has_stdout()) out.out = std::move(fds[next++]);
  if (stdio.has_stderr()) out.err = std::move(fds[next++]);
  return out;
}

}  // namespace ccgpu::shim
