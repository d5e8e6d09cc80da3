// Threads for handlers that may block. They are made when needed, up to a limit, and go away when idle, so that a quiet
// program keeps none.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace ccgpu::ttrpc {

class WorkerPool {
 public:
  explicit WorkerPool(size_t max_threads) : max_threads_(max_threads) {}
  ~WorkerPool() { Stop(); }
  // Any thread. Work beyond the limit waits for a free thread. After Stop(): dropped.
  void Run(std::function<void()> work);
  // Drops what has not begun, waits for what has. Not from a worker.
  void Stop();

 private:
  void Work();

  const size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace ccgpu::ttrpc
