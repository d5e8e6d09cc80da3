#include <condition_variable>
#include <mutex>

#include "kube/client.h"

namespace ccgpu::kube {
namespace {

class SystemTimer final : public Timer {
 public:
  std::chrono::steady_clock::time_point Now() const override { return std::chrono::steady_clock::now(); }
  bool Wait(std::chrono::milliseconds time) override {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, time, [this] { return interrupted_; });
  }
  void Interrupt() override {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<Timer> MakeSystemTimer() { return std::make_unique<SystemTimer>(); }

}  // namespace ccgpu::kube
