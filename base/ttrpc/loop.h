// One thread's event loop over epoll: file descriptors, timers, and work posted by other threads. Small on purpose: the
// shim, one per pod, runs on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"

namespace ccgpu::ttrpc {

class Loop {
 public:
  using Events = uint32_t;  // EPOLLIN, EPOLLOUT, ...
  using Callback = std::function<void(Events)>;
  using TimerId = uint64_t;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;

  // The next three: any thread. The fd stays the caller's and must stay open until it was removed. A callback runs on
  // the loop's thread; after Remove() returned on that thread it never runs again.
  void Add(int fd, Events events, Callback callback);
  void Modify(int fd, Events events);
  void Remove(int fd);

  // Runs `work` on the loop's thread, in the order of the calls. Any thread.
  void Post(std::function<void()> work);
  // Any thread. Cancel of a timer that has fired does nothing.
  TimerId After(std::chrono::milliseconds delay, std::function<void()> work);
  void Cancel(TimerId timer);

  // Runs until Stop(). Work that was posted before Stop() is still done.
  void Run();
  void Stop();  // any thread

 private:
  using Clock = std::chrono::steady_clock;
  void RunPosted();
  void RunTimers();
  int WaitMillis();
  void Wake();

  Fd epoll_;
  Fd wake_;
  std::mutex mutex_;
  std::map<int, std::pair<uint32_t, std::shared_ptr<Callback>>> watched_;  // fd -> generation, callback
  uint32_t next_generation_ = 1;
  std::vector<std::function<void()>> posted_;
  std::multimap<Clock::time_point, std::pair<TimerId, std::function<void()>>> timers_;
  TimerId next_timer_ = 1;
  bool stopping_ = false;
};

}  // namespace ccgpu::ttrpc
