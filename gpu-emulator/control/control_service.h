// The control API (gpu-emulator/api/control.proto) on a unix socket: what a host's administrator may see and do. It has
// no call that reads memory, keys or evidence, and none that unlocks a GPU.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gpu-emulator/identity/snp_identity.h"
#include "gpu-emulator/machine/machine.h"

namespace ccgpu::emulator {

struct ControlConfig {
  std::string socket_path;
  std::string http_url;  // "http://127.0.0.1:8000", for GetRoots
  std::string intel_root_pem, tpm_root_pem;
  std::string tee = {};  // snp | tdx | vtpm, for GetRoots
};

class ControlService {
 public:
  // Mode 0600, made anew over a socket that a killed predecessor left. Everything given must outlive the service.
  static Result<std::unique_ptr<ControlService>> Listen(const ControlConfig& config, Machine& machine,
                                                        const DevicePki& pki, const SnpIdentity& chip);
  ~ControlService();  // ends the streams and waits

 private:
  ControlService() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::emulator
