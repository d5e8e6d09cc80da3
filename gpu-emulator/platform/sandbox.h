// One connection to the secure processor: from Launch to Exited.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/crypto/digest.h"
#include "base/metrics.h"
#include "gpu-emulator/platform/frame_stream.h"
#include "gpu-emulator/platform/gpu_pool.h"
#include "gpu-emulator/platform/guest_process.h"
#include "gpu-emulator/platform/image_store.h"
#include "gpu-emulator/platform/reporter.h"
#include "gpu-emulator/platform/tsm_fuse.h"

namespace ccgpu::emulator {

// What the secure processor works with; all of it outlives every sandbox.
struct PlatformParts {
  GpuPool* gpus = nullptr;
  const CpuPlatform* cpu = nullptr;
  crypto::Random* random = nullptr;
  ImageStore images;
  metrics::Registry metrics;
  metrics::Counter& launched = metrics.AddCounter("ccgpu_emulator_launches_total", "Guests launched since the start.");
  metrics::Family<metrics::Counter>& refused =
      metrics.AddCounters("ccgpu_emulator_launches_refused_total", "Launches refused, by reason code.", {"code"});
  metrics::Family<metrics::Counter>& reports =
      metrics.AddCounters("ccgpu_emulator_reports_total", "Reports of the secure processor asked for.", {"result"});
  std::atomic<int> running{0};

  // A sandbox's id is its name towards GpuPool: two sandboxes of one id would free each other's GPUs.
  bool Enter(const std::string& sandbox_id) {
    std::lock_guard lock(mutex);
    return ids.insert(sandbox_id).second;
  }
  void Leave(const std::string& sandbox_id) {
    std::lock_guard lock(mutex);
    ids.erase(sandbox_id);
  }

 private:
  std::mutex mutex;
  std::set<std::string> ids;
};

// Runs on one thread from its making to its end: the guest dies with that thread.
class Sandbox {
 public:
  // `stop`: an eventfd that becomes readable when the emulator stops. `peer_mount_namespace`: of the process that
  // connected.
  Sandbox(PlatformParts& parts, Fd connection, Fd peer_mount_namespace, int stop)
      : parts_(parts),
        shim_(std::move(connection)),
        peer_mount_namespace_(std::move(peer_mount_namespace)),
        stop_(stop) {}

  // Serves the connection until both the guest and the peer are done with it.
  void Run();

 private:
  Status Launch(ReceivedFrame request);
  Status CheckRequest(const platform::v1::LaunchRequest& request) const;
  Status StartGuest(const platform::v1::LaunchRequest& request, std::vector<Fd> fds);
  // False when the guest must die: the peer is gone or broke the protocol, or the emulator stops.
  bool Supervise();
  bool ServeShim();
  void ServeGuest();
  void Answer(ReceivedFrame request);
  // Waits for the guest's end and undoes everything.
  GuestProcess::ExitStatus Finish();

  PlatformParts& parts_;
  FrameStream shim_;
  Fd peer_mount_namespace_;
  int stop_;
  std::string id_;  // empty until it is entered
  std::vector<LockedGpu> gpus_;
  std::vector<std::shared_ptr<const SealedFile>> images_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<FrameStream> guest_channel_;
  std::unique_ptr<GuestProcess> guest_;
  std::unique_ptr<TsmFuse> tsm_;
};

}  // namespace ccgpu::emulator
