#include "base/ttrpc/worker_pool.h"

#include <chrono>
#include <thread>

namespace ccgpu::ttrpc {
namespace {
constexpr auto kIdleTime = std::chrono::seconds(2);
}

void WorkerPool::Run(std::function<void()> work) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  waiting_.push_back(std::move(work));
  if (waiting_.size() > idle_ && threads_ < max_threads_) {
    ++threads_;
    std::thread([this] { Work(); }).detach();  // Stop() waits for threads_ == 0
  } else {
    changed_.notify_one();
  }
}

void WorkerPool::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (waiting_.empty() && !stopping_) {
      ++idle_;
      changed_.wait_for(lock, kIdleTime, [this] { return stopping_ || !waiting_.empty(); });
      --idle_;
    }
    if (stopping_ || waiting_.empty()) break;
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // what it holds dies outside the lock
    lock.lock();
  }
  --threads_;
  changed_.notify_all();
}

void WorkerPool::Stop() {
  std::deque<std::function<void()>> dropped;
  std::unique_lock lock(mutex_);
  stopping_ = true;
  dropped.swap(waiting_);
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_ == 0; });
}

}  // namespace ccgpu::ttrpc
