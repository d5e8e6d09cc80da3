// One emulated GPU: memory, engines, SPDM responder and the link, behind the calls that the platform and the control
// plane may make. Nothing here gives its caller memory, keys or the ready state: a real host could not have them
// either.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/device/ptx/engine.h"
#include "gpu-emulator/link/mode.h"
#include "trust/spdm/responder.h"

namespace ccgpu::device {

using link::DeviceState;
using link::Mode;

struct GpuConfig {
  uint32_t index = 0;
  std::string uuid, model, architecture;  // "GPU-...", "NVIDIA H100 ...", "HOPPER" or "AMPERE"
  uint64_t memory_bytes = 0;
  std::string link_path;  // name under which the host finds the link's memory; replaced if there; empty: none
  int compute_major = 9, compute_minor = 0, sm_count = 132;
  std::string driver_version, vbios_version, serial;
  uint32_t board_id = 0;
  // Makes the engine that runs kernels; empty: ptx::MakeInterpreter where it is built in, else kernels are refused.
  std::function<std::unique_ptr<ptx::Engine>()> engine;
};

struct LockInfo {
  Bytes nonce;               // 32 bytes; START must present it inside the SPDM session (TDISP START_INTERFACE)
  Bytes device_cert_sha384;  // of the leaf's DER at LOCK time
  uint64_t lock_count = 0;
};

// Since the Gpu was made.
struct GpuCounters {
  uint64_t sessions = 0, sessions_lost = 0, scrubs = 0;
  bool in_session = false;  // now
};

// Thread-safe. The destructor stops every thread and drops the link.
class Gpu {
 public:
  // The identity's callbacks are set by Gpu; its measurements and random must outlive the Gpu.
  static Result<std::unique_ptr<Gpu>> Create(GpuConfig config, Mode mode, spdm::ResponderConfig identity);
  ~Gpu();
  Gpu(const Gpu&) = delete;

  const GpuConfig& config() const;
  int link_fd() const;  // memfd of the link; stays the Gpu's
  DeviceState state() const;
  Mode mode() const;
  bool held() const;               // between Lock and Release
  std::string sandbox_id() const;  // who holds it; empty when free
  bool ready() const;              // accepting client work
  GpuCounters counters() const;
  std::string error_reason() const;  // reason code while state is ERROR or a fault is active, else empty

  // UNLOCKED -> LOCKED (in mode off straight on to RUN: there is no session to start). "gpu.already-locked" when held,
  // "gpu.not-usable" in ERROR.
  Result<LockInfo> Lock(const std::string& sandbox_id);
  // Keys gone, memory scrubbed, -> UNLOCKED (ERROR while the link is down or the GPU hangs). Idempotent.
  void Release();
  // Reset or board swap: keys gone, memory scrubbed, new identity, UNLOCKED. A sandbox that holds the GPU loses it (its
  // channels and session are dead) but stays the holder until Release.
  void Reset(Mode mode, spdm::ResponderConfig identity);
  void SetLinkDown(bool down);  // fault drop: session and channels are lost at once
  void SetHang(bool hang);      // fault hang: nothing is answered any more

  // Called after every change of state, mode, holder or health, from any thread, without locks held.
  void OnChange(std::function<void()> changed);

 private:
  struct Impl;
  explicit Gpu(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::device
