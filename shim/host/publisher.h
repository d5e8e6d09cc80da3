// Events to containerd, in order, over its ttrpc socket.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/ttrpc/client.h"
#include "shim/api/containerd.pb.h"

namespace ccgpu::shim {

// Thread-safe. Events that containerd does not take are tried again a few times, the others wait behind them.
class Publisher {
 public:
  // `address`: $TTRPC_ADDRESS, a plain path; empty: events go nowhere (CRI-O).
  Publisher(std::string address, std::string ns);
  ~Publisher();  // Flush with a short limit

  template <class Message>
  void Publish(const char* topic, const char* type, const Message& message) {
    Add(topic, type, message.SerializeAsString());
  }
  // Waits until all is sent, at most `limit`.
  void Flush(std::chrono::milliseconds limit);

 private:
  void Add(const char* topic, const char* type, std::string value);
  void Run();
  bool Send(const containerd::ForwardRequest& request);

  const std::string address_, namespace_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<containerd::ForwardRequest> queue_;
  bool stopping_ = false, busy_ = false;
  std::optional<ttrpc::Client> client_;
  std::thread thread_;
};

}  // namespace ccgpu::shim
