#include "base/ttrpc/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace ccgpu::ttrpc {

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_.valid() || !wake_.valid()) std::abort();  // out of descriptors before anything began
  Add(wake_.get(), EPOLLIN, [this](Events) {
    uint64_t count;
    while (::read(wake_.get(), &count, sizeof count) > 0) {}
  });
}

Loop::~Loop() = default;

void Loop::Add(int fd, Events events, Callback callback) {
  std::lock_guard lock(mutex_);
  uint32_t generation = next_generation_++;
  watched_[fd] = {generation, std::make_shared<Callback>(std::move(callback))};
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{generation} << 32 | static_cast<uint32_t>(fd);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::Modify(int fd, Events events) {
  std::lock_guard lock(mutex_);
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{it->second.first} << 32 | static_cast<uint32_t>(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::Remove(int fd) {
  std::lock_guard lock(mutex_);
  if (watched_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::Wake() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void Loop::Post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  Wake();
}

Loop::TimerId Loop::After(std::chrono::milliseconds delay, std::function<void()> work) {
  TimerId id;
  {
    std::lock_guard lock(mutex_);
    id = next_timer_++;
    timers_.emplace(Clock::now() + delay, std::pair(id, std::move(work)));
  }
  Wake();
  return id;
}

void Loop::Cancel(TimerId timer) {
  std::lock_guard lock(mutex_);
  std::erase_if(timers_, [timer](const auto& entry) { return entry.second.first == timer; });
}

void Loop::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
}

void Loop::RunPosted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& each : work) each();
}

void Loop::RunTimers() {
  for (;;) {
    std::function<void()> work;
    {
      std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first > Clock::now()) return;
      work = std::move(timers_.begin()->second.second);
      timers_.erase(timers_.begin());
    }
    work();
  }
}

int Loop::WaitMillis() {
  std::lock_guard lock(mutex_);
  if (!posted_.empty()) return 0;
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

void Loop::Run() {
  std::array<epoll_event, 16> events;
  for (;;) {
    RunPosted();
    RunTimers();
    {
      std::lock_guard lock(mutex_);
      if (stopping_ && posted_.empty()) return;
    }
    int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), WaitMillis());
    for (int i = 0; i < count; ++i) {
      int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
      auto generation = static_cast<uint32_t>(events[i].data.u64 >> 32);
      std::shared_ptr<Callback> callback;
      {
        // An earlier callback of this round may have removed the fd, and its number may already be another's.
        std::lock_guard lock(mutex_);
        auto it = watched_.find(fd);
        if (it != watched_.end() && it->second.first == generation) callback = it->second.second;
      }
      if (callback) (*callback)(events[i].events);
    }
  }
}

}  // namespace ccgpu::ttrpc
