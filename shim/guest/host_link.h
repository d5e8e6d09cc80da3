// guestd's line to the untrusted host half: exits and events go out in order, descriptors come in.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "base/ttrpc/client.h"
#include "shim/api/guest.pb.h"
#include "shim/guest/stdio.h"

namespace ccgpu::shim {

// Thread-safe.
class HostLink {
 public:
  // The channels "host" and "pids".
  HostLink(Fd host, Fd pids);

  // Queued, sent one after the other.
  void Exited(const std::string& id, const std::string& exec_id, int status);
  void Event(const std::string& component, const std::string& code, const std::string& message,
             const std::string& subject);
  // An event of guestd itself about a refusal or failure.
  void EventOf(const Error& error) { Event("ccgpu-guestd", error.code, error.text, error.subject); }

  // Tells the host half which process `token` asked for: in the host's own numbers, which only the kernel can
  // translate.
  Status TellPid(uint64_t token, pid_t pid);
  // The streams that the host half sent with this token before it made the request.
  Result<HostStreams> TakeStreams(const v1::Stdio& stdio);

 private:
  void Send();
  ttrpc::Client client_;
  Fd pids_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  std::mutex streams_mutex_;
  std::map<uint64_t, std::vector<Fd>> streams_;
  std::thread thread_;
};

}  // namespace ccgpu::shim
