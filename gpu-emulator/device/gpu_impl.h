// The inside of Gpu. Two locks, taken in this order only: `responder_mutex` (around every call into the SPDM responder,
// and so around its callbacks), then `mutex` (everything else). Channels are joined without `mutex`, since their
// threads report errors under it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "base/crypto/digest.h"
#include "gpu-emulator/device/channel.h"
#include "gpu-emulator/device/device_state.h"
#include "gpu-emulator/device/gpu.h"
#include "gpu-emulator/device/memory.h"
#include "gpu-emulator/link/mailbox.h"
#include "gpu-emulator/link/memory.h"
#include "gpu-emulator/link/rpc.h"

namespace ccgpu::device {

// Keys of one channel number within one session.
struct LinkKeys {
  std::array<uint8_t, 12> h2d_mask{},
      d2h_mask{};  // one mask per key line: with the rising channel counter no nonce comes twice
  uint32_t openings = 0;
};

struct Gpu::Impl {
  Impl(GpuConfig c, link::LinkMemory l, std::unique_ptr<DeviceMemory> m)
      : config(std::move(c)), link(std::move(l)), memory(std::move(m)), mailbox(link) {}
  ~Impl();

  // The mailbox's thread.
  void Serve();
  Bytes Answer(ByteView object);
  Result<Bytes> HandleRpc(ByteView request, bool in_session);
  void OnSession(const Bytes& export_master_secret);
  void OnSessionEnd(std::string_view why);

  Result<Bytes> Start(Reader& in);
  Result<Bytes> SetReady(Reader& in);
  Result<Bytes> OpenChannel();
  Result<Bytes> CloseChannel(Reader& in);
  Bytes Info();

  void SetIdentity(spdm::ResponderConfig identity);  // responder_mutex held
  // Ends all work: channels, keys, memory. `lost`: their users are told so. responder_mutex held or no responder call
  // possible.
  void DropWork(bool lost);
  void ForgetSession();  // responder and its callbacks; responder_mutex held
  Result<LockInfo> Lock(const std::string& sandbox);
  void Fail(std::string reason);
  // After Release or Reset: UNLOCKED, or ERROR while a fault lasts.
  void Settle(Event event);
  bool Move(Event event);  // mutex held
  void Publish();          // registers; mutex held
  void Changed();          // no lock held
  TimePoint Now() const;   // rises whatever the wall clock does

  GpuConfig config;
  link::LinkMemory link;
  std::unique_ptr<DeviceMemory> memory;
  link::MailboxServer mailbox;
  crypto::SystemRandom random;
  std::chrono::steady_clock::time_point booted = std::chrono::steady_clock::now();

  std::mutex responder_mutex;
  std::unique_ptr<spdm::Responder> responder;
  bool quiet = false;  // responder_mutex: the end of the session is our own doing

  mutable std::mutex mutex;
  Mode mode = Mode::kOff;
  DeviceState state = DeviceState::kUnlocked;
  bool held = false, ready = false, ready_latched = false, link_down = false, start_used = false;
  std::string sandbox, error;
  GpuCounters counters;
  Bytes leaf_sha384, lock_nonce, emk;
  uint64_t lock_count = 0, channel_counter = 0;
  uint32_t boot_count = 0, channel_errors = 0;
  std::map<uint32_t, LinkKeys> keys;
  std::map<uint32_t, std::unique_ptr<Channel>> channels;
  std::function<void()> changed;

  HangGate gate;
  std::atomic<bool> stop = false, offline = false;  // offline: the link is down
  std::thread thread;
};

}  // namespace ccgpu::device
