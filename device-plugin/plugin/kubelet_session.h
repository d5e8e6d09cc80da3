// Being known to the kubelet, for ever.
//
// Register mode: serve on a socket with a name of our own in the kubelet's device-plugins folder, then call Register on
// kubelet.sock. A kubelet that restarts deletes all sockets there and never asks again, so these bring us back:
// a removed socket of ours (serve again), a new kubelet.sock (register again), and the inode of kubelet.sock looked at
// from time to time (a watch that was lost). Unique names let two instances overlap during an upgrade; kubelets up to
// 1.35 take the end of the one for the end of the other, so that a stream which the kubelet ended and a socket of
// another instance that went are reasons to register again, too. Whatever these miss (somebody else's plugin under our
// name that was killed and left its socket) the kubelet itself tells: from time to time it is asked which devices it
// knows, and one that twice lacks a healthy GPU of ours is registered with again.
//
// Watcher mode: serve on a socket in plugins_registry that also answers pluginregistration.GetInfo; the kubelet comes
// by itself.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"
#include "device-plugin/plugin/plugin_service.h"

namespace ccgpu::deviceplugin {

enum class RegistrationMode { kRegister, kWatcher };

struct SessionOptions {
  RegistrationMode mode = RegistrationMode::kRegister;
  std::string dir;  // device-plugins, or plugins_registry
  std::string resource_name;
  ServiceOptions service;
  std::chrono::milliseconds check_interval{2000};   // inode check; also the longest pause between tries to register
  std::string pod_resources_socket{};               // where the kubelet is asked what it knows; empty: it is not asked
  std::chrono::milliseconds known_interval{30000};  // between two such questions
};

class KubeletSession {
 public:
  KubeletSession(SessionOptions options, DeviceTable& table, Metrics& metrics);  // both must outlive it
  ~KubeletSession();
  void Start();
  void Stop();  // the socket is gone when it returns
  // Path of the socket that is served now; empty between two generations.
  std::string socket() const;

 private:
  class Generation;  // one served socket
  void Run();
  Status Register();
  bool OwnSocketIsThere() const;
  bool KubeletIsTheSame() const;
  void WaitForChange(std::chrono::milliseconds timeout);
  bool StreamWasLost();  // since the last call
  void NoteGone(const std::string& name);
  bool TimeToRegisterAgain();
  bool WasForgotten();
  void Watch();  // (re-)arms inotify

  SessionOptions options_;
  DeviceTable& table_;
  Metrics& metrics_;
  std::unique_ptr<Generation> generation_;
  mutable std::mutex mutex_;              // guards generation_ for socket()
  Fd inotify_, stop_event_, lost_event_;  // lost: the kubelet ended a ListAndWatch
  std::atomic<bool> stopping_{false};
  uint64_t kubelet_inode_ = 0;
  int64_t kubelet_ctime_ns_ = 0;
  std::set<std::chrono::steady_clock::time_point> register_again_at_;
  std::chrono::steady_clock::time_point ask_known_at_;
  bool gpus_were_missing_ = false;  // when the kubelet was asked last
  std::thread thread_;
};

}  // namespace ccgpu::deviceplugin
