#include "shim/host/publisher.h"

#include <time.h>

#include "base/log.h"
#include "shim/api/names.h"

namespace ccgpu::shim {
namespace {
constexpr auto kCall = std::chrono::seconds(5);
constexpr int kAttempts = 5;
constexpr size_t kMaxQueue = 2048;
}  // namespace

Publisher::Publisher(std::string address, std::string ns) : address_(std::move(address)), namespace_(std::move(ns)) {
  if (!address_.empty()) thread_ = std::thread([this] { Run(); });
}

Publisher::~Publisher() {
  Flush(std::chrono::seconds(2));
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Publisher::Add(const char* topic, const char* type, std::string value) {
  if (address_.empty()) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  containerd::ForwardRequest request;
  auto* envelope = request.mutable_envelope();
  envelope->mutable_timestamp()->set_seconds(now.tv_sec);
  envelope->mutable_timestamp()->set_nanos(static_cast<int32_t>(now.tv_nsec));
  envelope->set_namespace_(namespace_);
  envelope->set_topic(topic);
  envelope->mutable_event()->set_type_url(type);
  envelope->mutable_event()->set_value(std::move(value));
  std::lock_guard lock(mutex_);
  if (queue_.size() >= kMaxQueue) return;  // containerd has been away for long; it asks for states when it returns
  queue_.push_back(std::move(request));
  changed_.notify_all();
}

void Publisher::Flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!address_.empty()) changed_.wait_for(lock, limit, [this] { return queue_.empty() && !busy_; });
}

bool Publisher::Send(const containerd::ForwardRequest& request) {
  for (int reconnect = 0; reconnect < 2; ++reconnect) {
    if (!client_) {
      auto client = ttrpc::Client::ConnectUnix(address_, kCall);
      if (!client.ok()) return false;
      client_ = std::move(*client);
      client_->SetMetadata("containerd-namespace-ttrpc", namespace_);
    }
    ttrpc::Reply reply = client_->CallRaw(kEventsService, "Forward", request.SerializeAsString(), kCall);
    if (reply.ok()) return true;
    if (reply.code != ttrpc::Code::kUnavailable) {
      log::Warning("containerd refused an event", {{"topic", request.envelope().topic()}, {"reason", reply.message}});
      return reply.code != ttrpc::Code::kDeadlineExceeded;  // it will not like it better the next time
    }
    client_.reset();
  }
  return false;
}

void Publisher::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    containerd::ForwardRequest request = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    bool sent = Send(request);
    lock.lock();
    for (int attempt = 1; !sent && attempt < kAttempts && !stopping_; ++attempt) {
      changed_.wait_for(lock, std::chrono::seconds(attempt), [this] { return stopping_; });
      lock.unlock();
      sent = Send(request);
      lock.lock();
    }
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace ccgpu::shim
