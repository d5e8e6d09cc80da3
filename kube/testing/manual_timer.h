// Time that passes only when somebody waits for it.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "kube/client.h"

namespace ccgpu::kube::testing {

// Any thread. A wait moves time forward at once.
class ManualTimer final : public Timer {
 public:
  std::chrono::steady_clock::time_point Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  bool Wait(std::chrono::milliseconds time) override {
    std::vector<std::function<void()>> due;
    bool interrupted;
    {
      std::lock_guard lock(mutex_);
      interrupted = interrupted_;
      waits_.push_back(time);
      now_ += time;
      while (!planned_.empty() && planned_.begin()->first <= now_) {
        due.push_back(std::move(planned_.begin()->second));
        planned_.erase(planned_.begin());
      }
    }
    for (const auto& act : due) act();
    return !interrupted;
  }
  void Interrupt() override {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  // `act` happens in the wait that reaches `when`.
  void At(std::chrono::steady_clock::time_point when, std::function<void()> act) {
    std::lock_guard lock(mutex_);
    planned_.emplace(when, std::move(act));
  }
  std::vector<std::chrono::milliseconds> waits() const {
    std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> planned_;
  std::vector<std::chrono::milliseconds> waits_;
  bool interrupted_ = false;
};

}  // namespace ccgpu::kube::testing
