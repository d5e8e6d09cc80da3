// Tells at once that some task of the runtime ended, from containerd's event stream. CRI 1.6 has no events, so the
// status itself is still asked by ContainerStatus; this only makes the question come at the right moment. When the
// stream is not there, waiters fall back to their own timeouts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace grpc {
class ClientContext;
}

namespace ccgpu::node {

class ExitNotice {
 public:
  explicit ExitNotice(std::string socket);
  ~ExitNotice();
  void Start();
  void Stop();
  uint64_t count() const;
  // Returns when more than `seen` tasks have ended, on Nudge, or after the timeout. The count then.
  uint64_t Wait(uint64_t seen, std::chrono::milliseconds timeout) const;
  void Nudge();  // wakes all waiters
  bool connected() const;

 private:
  void Run();
  std::string socket_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  uint64_t count_ = 0;
  bool stopping_ = false, connected_ = false;
  grpc::ClientContext* stream_ = nullptr;
  std::thread thread_;
};

}  // namespace ccgpu::node
