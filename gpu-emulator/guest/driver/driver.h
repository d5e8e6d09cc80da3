// The guest's side of one GPU: the SPDM session, START, heartbeats, evidence. guestd owns one per GPU that the platform
// locked to the sandbox; DriverServer (driver_server.h) lends it to the containers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "gpu-emulator/guest/socket/protocol.h"
#include "gpu-emulator/link/mode.h"

namespace ccgpu::driver {

// From the platform's GuestParams.
struct LockedGpu {
  uint32_t index = 0;
  std::string uuid;
  Bytes lock_nonce;          // 32 bytes
  Bytes device_cert_sha384;  // 48 bytes
};

// How SPDM messages lie in the mailbox: as DOE objects, or as NVIDIA's driver puts them (trust/spdm/gsp_frame.h). The
// device takes both.
enum class Envelope { kDoe, kGsp };

struct Options {
  // Modes that the guest accepts, from the measured initdata. The register window cannot widen it.
  std::vector<link::Mode> accepted_modes = {link::Mode::kHopperCc};
  // Called once, from the heartbeat thread, when the GPU is lost ("gpu.lost", "gpu.session-lost").
  std::function<void(const Error&)> on_lost;
  int heartbeat_ms = 2000;  // half the device's period; the device gives up after two periods
  int exchange_timeout_ms = 5000;
  Envelope envelope = Envelope::kDoe;
};

// What the GPU says about itself, for NVML and the agent.
struct Evidence {
  Bytes report;           // SPDM 1.1 GET_MEASUREMENTS || MEASUREMENTS
  std::string chain_pem;  // leaf first, as NVML hands it out
};

// Thread-safe. The destructor ends the session.
class GuestDriver {
 public:
  // Opens the link, checks mode and identity, starts the session and moves the device to RUN.
  // Errors: "gpu.swapped" (another leaf than at LOCK), "gpu.mode-refused", "link.timeout", "gpu.lock-nonce", "spdm.*".
  static Result<std::unique_ptr<GuestDriver>> Open(Fd link, const LockedGpu& lock, Options options);
  ~GuestDriver();
  GuestDriver(const GuestDriver&) = delete;

  link::Mode mode() const;
  const std::string& uuid() const;
  bool lost() const;
  bool ready() const;
  Result<socket::GpuInfo> Info();  // as the device says it, inside the session where there is one
  // Signed measurements over the caller's 32-byte nonce. "gpu.mode-off" without confidential computing.
  Result<Evidence> Attest(ByteView nonce32);
  Result<std::string> ChainPem();  // leaf first
  // Lets the device accept client work. Once taken back it cannot be given again ("gpu.ready-latched").
  Status SetReady(bool ready);
  Result<socket::ChannelGrant> OpenChannel();  // "gpu.not-ready" until SetReady(true) in the modes with a session
  Status CloseChannel(uint32_t channel);
  int link_fd() const;

 private:
  struct Impl;
  explicit GuestDriver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::driver
