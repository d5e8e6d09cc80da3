// The node's GPUs as the emulator's control socket shows them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::nodemanager {

struct Gpu {
  uint32_t index = 0;
  std::string uuid, model, mode,
      state;  // mode: off | devtools | apm | hopper-cc; state: UNLOCKED | LOCKED | RUN | ERROR
  bool healthy = true;
  std::string health_reason;       // a reason code when not healthy
  std::string sandbox_id;          // who holds it
  std::vector<std::string> modes;  // that it can be in
};

// Any thread. Errors: "manager.emulator-gone" nobody answers in time; "manager.gpu-held" a sandbox holds it;
// "manager.gpu-refused" the emulator says no for another reason, in its own words.
class Emulator {
 public:
  virtual ~Emulator() = default;
  virtual Result<std::vector<Gpu>> List() = 0;
  virtual Result<Gpu> SetMode(uint32_t index, const std::string& mode) = 0;
  virtual Result<Gpu> Reset(uint32_t index) = 0;
  virtual Result<std::string> Tee() = 0;  // snp, tdx, vtpm; "": an emulator that does not say
};
std::unique_ptr<Emulator> ConnectEmulator(const std::string& socket);

// Calls `on_change` in a thread of its own with all GPUs at every change, and with nothing while the emulator does not
// answer. Ends with the object.
class EmulatorWatch {
 public:
  using OnChange = std::function<void(const std::optional<std::vector<Gpu>>&)>;
  EmulatorWatch(std::string socket, OnChange on_change);
  ~EmulatorWatch();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::nodemanager
