// The GPUs of this sandbox through NVIDIA's management library, opened at run time: the same calls on an emulated and
// on a real H100. Only what attestation needs.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"

namespace ccgpu::agent {

struct GpuInfo {
  unsigned index = 0;
  std::string uuid;
  std::string arch;  // HOPPER, BLACKWELL, AMPERE
};

struct ConfidentialState {
  bool cc_enabled = false;
  bool devtools = false;
};

// Not for several threads at once.
class Nvml {
 public:
  // Errors: gpu.nvml-missing when the library or one of the symbols is not there, gpu.nvml when nvmlInit fails.
  static Result<std::unique_ptr<Nvml>> Open(const std::string& library_path);
  virtual ~Nvml() = default;

  virtual Result<std::vector<GpuInfo>> Gpus() = 0;
  virtual Result<ConfidentialState> State() = 0;
  // The attestation report for a 32-byte nonce, and the certificate chain (PEM, leaf first).
  virtual Result<Bytes> Report(unsigned index, ByteView nonce) = 0;
  virtual Result<std::string> CertificateChain(unsigned index) = 0;
  // Lets the GPUs accept work (true), or stops them.
  virtual Status SetReady(bool ready) = 0;
};

}  // namespace ccgpu::agent
