// One channel of the device: a thread that takes commands out of the h2d ring in order and executes them. Whatever
// stands in the ring, it answers, refuses or stops; it never believes it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "gpu-emulator/device/executor.h"
#include "gpu-emulator/link/memory.h"
#include "gpu-emulator/link/ring.h"

namespace ccgpu::device {

// Stands between a hung device and its workers.
class HangGate {
 public:
  void Set(bool closed);
  // Waits while closed, until `stop`.
  void Pass(const std::atomic<bool>& stop);
  bool closed() const { return closed_; }
  void Wake();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> closed_ = false;
};

struct ChannelConfig {
  uint32_t id = 0;
  link::Protection protection = link::Protection::kClear;
  link::CipherKey h2d, d2h;
  DeviceMemory* memory = nullptr;
  std::unique_ptr<ptx::Engine> engine;  // may be null: kernels are refused
  HangGate* gate = nullptr;
  // From the channel's thread, at most once; before the link tells the driver, which so finds the error counted.
  std::function<void(const Error&)> on_error;
};

class Channel {
 public:
  Channel(const link::LinkMemory& link, ChannelConfig config);
  // Stops the thread (a running kernel is cancelled), wipes keys, frees the channel's memory and the ring's pages.
  ~Channel();
  Channel(const Channel&) = delete;

  // Marks the channel as lost in the link, before it is destroyed.
  void MarkLost();

 private:
  void Work();
  Status Step();

  const link::LinkMemory& link_;
  const uint32_t id_;
  HangGate* gate_;
  std::function<void(const Error&)> on_error_;
  std::atomic<bool> stop_ = false;
  link::RingReader reader_;
  link::RingWriter writer_;
  Executor executor_;
  std::thread thread_;
};

}  // namespace ccgpu::device
