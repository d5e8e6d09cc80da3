// The machine's GPU slots: boards, who holds them, their modes and faults. The control API shows and changes it as a
// host's administrator could; the secure processor locks and releases through GpuPool.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gpu-emulator/device/gpu.h"
#include "gpu-emulator/faults/fault.h"
#include "gpu-emulator/identity/board_measurements.h"
#include "gpu-emulator/identity/device_pki.h"
#include "gpu-emulator/platform/gpu_pool.h"
#include "gpu-emulator/profiles/profile.h"
#include "gpu-emulator/services/endorsements.h"

namespace ccgpu::emulator {

struct MachineConfig {
  std::string state_dir;  // board identities and modes, 0700
  std::string run_dir;    // gpuN.link: the links' memories, which the host may look at and write
  uint32_t gpus = 1;
};

// What a host sees of a GPU.
struct GpuStatus {
  uint32_t index = 0;
  std::string uuid, mode, state, health_reason, sandbox_id, fault;
  bool healthy = false;
  int numa_node = -1;
  device::GpuCounters counters;
};

// Any thread.
class Machine final : public GpuPool {
 public:
  static constexpr uint32_t kMaxGpus = 64;

  // Everything given must outlive the machine.
  static Result<std::unique_ptr<Machine>> Create(const MachineConfig& config, const Profile& profile,
                                                 const DevicePki& pki, Endorsements& endorsements, const Clock& clock,
                                                 crypto::Random& random);
  ~Machine() override;

  const Profile& profile() const { return profile_; }
  std::vector<GpuStatus> List() const;
  // Errors: "gpu.unknown", "gpu.mode-unsupported", "gpu.held".
  Result<GpuStatus> SetMode(uint32_t index, const std::string& mode);
  Result<GpuStatus> Reset(uint32_t index);
  // Takes the earlier fault out first. Also while a sandbox holds the GPU. "gpu.unknown-fault".
  Result<GpuStatus> Inject(uint32_t index, const std::string& fault);

  Result<std::vector<LockedGpu>> Lock(const std::string& sandbox_id, const std::vector<std::string>& uuids) override;
  void Release(const std::string& sandbox_id) override;
  std::vector<CollateralItem> Collateral(const std::vector<std::string>& uuids) override;

  // Waits until the machine differs from what `seen` stands for (0: returns at once), or for `timeout`; updates `seen`.
  // False when nothing changed.
  bool WaitForChange(uint64_t& seen, std::chrono::milliseconds timeout) const;

 private:
  struct Slot;
  Machine(const Profile& profile, const DevicePki& pki, Endorsements& endorsements, const Clock& clock,
          crypto::Random& random);
  Status AddSlot(const MachineConfig& config, uint32_t index);
  Result<Slot*> SlotAt(uint32_t index);
  Slot* SlotOf(const std::string& uuid);
  GpuStatus StatusOf(const Slot& slot) const;
  spdm::ResponderConfig ResponderFor(Slot& slot) const;
  void Undo(Slot& slot);
  Status Apply(Slot& slot, Fault fault);
  void Changed();

  const Profile profile_;
  const DevicePki& pki_;
  Endorsements& endorsements_;
  const Clock& clock_;
  crypto::Random& random_;
  mutable std::mutex mutex_;  // who changes slots; a Gpu's own calls are thread-safe
  std::vector<std::unique_ptr<Slot>> slots_;
  mutable std::mutex change_mutex_;
  mutable std::condition_variable changed_;
  uint64_t generation_ = 1;
};

}  // namespace ccgpu::emulator
