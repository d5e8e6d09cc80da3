// The host half's view of one running guest: launched by the secure processor, spoken to over channels, ended with it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ttrpc/client.h"
#include "base/ttrpc/server.h"
#include "shim/api/guest.pb.h"
#include "shim/channel/platform_channel.h"
#include "shim/host/config.h"

namespace ccgpu::shim {

struct LaunchPlan {
  std::string sandbox_id;
  std::string host_data;  // 32 bytes
  std::string netns;      // path; empty: the shim's own
  std::string hostname;
  std::vector<std::string> gpu_uuids;
};

struct GuestCallbacks {  // on the loop's thread, but for on_exited and on_event, which come from workers, in order
  std::function<void(const v1::ExitedRequest&)> on_exited;
  std::function<void(const v1::EventRequest&)> on_event;
  std::function<void(int status)> on_gone;  // once; exit code or 128 + signal
};

// Thread-safe after Launch.
class Guest {
 public:
  // `host` serves the guest's calls back; its loop watches the guest. Both must outlive the Guest.
  static Result<std::unique_ptr<Guest>> Launch(const Config& config, const LaunchPlan& plan, ttrpc::Loop& loop,
                                               GuestCallbacks callbacks);
  ~Guest();

  pid_t pid() const { return pid_; }
  const std::vector<v1::Collateral>& collateral() const { return collateral_; }

  template <class Message>
  ttrpc::Reply Call(const char* method, const Message& message, std::chrono::milliseconds timeout) {
    return CallRaw(method, message.SerializeAsString(), timeout);
  }
  // Hands descriptors over; the token goes into the request that is about them. An empty list needs no message: 0.
  Result<uint64_t> SendStreams(const std::vector<int>& fds);
  uint64_t NewToken() { return next_token_++; }
  // The process that guestd announced under this token, in the host's numbers; 0 when none was.
  pid_t TakePid(uint64_t token);
  // Ends the guest; on_gone follows when its GPUs are scrubbed and free.
  void Kill();

 private:
  Guest(ttrpc::Loop& loop, PlatformChannel platform, Fd task, Fd pids, Fd log, GuestCallbacks callbacks);
  ttrpc::Reply CallRaw(const char* method, std::string payload, std::chrono::milliseconds timeout);
  void Watch(Fd host);
  void OnPlatform();
  void OnLog();

  ttrpc::Loop& loop_;
  PlatformChannel platform_;
  ttrpc::Client client_;
  Fd pids_, log_, pidfd_;
  GuestCallbacks callbacks_;
  std::unique_ptr<ttrpc::Server> host_server_;
  pid_t pid_ = 0;
  std::vector<v1::Collateral> collateral_;
  std::atomic<uint64_t> next_token_ = 1;
  std::mutex pids_mutex_;
  std::map<uint64_t, pid_t> told_;
  std::atomic<bool> gone_ = false;
};

}  // namespace ccgpu::shim
