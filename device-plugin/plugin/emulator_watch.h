// Keeps a DeviceTable equal to what the emulator's control socket says, for ever: reconnects with a growing pause, and
// calls every device unhealthy ("plugin.emulator-gone") while nobody answers. The CDI spec is written before the table
// changes, so that no device is offered that cannot be resolved.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/rpc/client.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

struct WatchOptions {
  std::string socket;           // emulator.sock
  std::string cdi_dir;          // empty: no spec file
  std::set<std::string> modes;  // GPUs in another mode are unhealthy ("plugin.mode-not-allowed"); empty: any mode
  std::chrono::milliseconds probe_interval{5000};  // a hung emulator is noticed after at most twice this time
};

class EmulatorWatch {
 public:
  EmulatorWatch(WatchOptions options, DeviceTable& table, Metrics& metrics);  // both must outlive it
  ~EmulatorWatch();                                                           // joins its threads
  void Start();
  void Stop();

 private:
  void Run();
  void Probe();
  bool WatchOnce();
  bool Pause(std::chrono::milliseconds time);  // false: stopping
  void Publish(std::vector<GpuView> gpus);

  WatchOptions options_;
  DeviceTable& table_;
  Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  rpc::Client* stream_ = nullptr;  // of the WatchGpus that runs
  std::thread watcher_, prober_;
};

}  // namespace ccgpu::deviceplugin
