#include "attestation-agent/nvml.h"

#include <dlfcn.h>

namespace ccgpu::agent {
namespace {

// NVML's ABI (nvml.h), the parts that are called here.
using Device = void*;
constexpr int kSuccess = 0;
struct SystemState {
  unsigned environment, cc_feature, devtools_mode;
};
struct Certificate {
  unsigned chain_size, attestation_chain_size;
  uint8_t chain[0x1000], attestation_chain[0x1400];
};
struct AttestationReport {
  unsigned cec_present, size, cec_size;
  uint8_t nonce[0x20], report[0x2000], cec_report[0x1000];
};

struct Library {
  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle_by_index)(unsigned, Device*) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*architecture)(Device, unsigned*) = nullptr;
  int (*state)(SystemState*) = nullptr;
  int (*set_ready)(unsigned) = nullptr;
  int (*certificate)(Device, Certificate*) = nullptr;
  int (*report)(Device, AttestationReport*) = nullptr;
};

std::string ArchitectureName(unsigned architecture) {
  switch (architecture) {
    case 7: return "AMPERE";
    case 9: return "HOPPER";
    case 10: return "BLACKWELL";
    default: return "UNKNOWN-" + std::to_string(architecture);
  }
}

class RealNvml final : public Nvml {
 public:
  explicit RealNvml(Library library) : lib_(library) {}
  ~RealNvml() override {
    lib_.shutdown();
    ::dlclose(lib_.handle);
  }

  Result<std::vector<GpuInfo>> Gpus() override {
    unsigned count = 0;
    RETURN_IF_ERROR(Check(lib_.count(&count), "nvmlDeviceGetCount"));
    std::vector<GpuInfo> out;
    for (unsigned index = 0; index < count; ++index) {
      ASSIGN_OR_RETURN(Device device, DeviceAt(index));
      char uuid[96] = "";
      unsigned architecture = 0;
      RETURN_IF_ERROR(Check(lib_.uuid(device, uuid, sizeof uuid), "nvmlDeviceGetUUID"));
      RETURN_IF_ERROR(Check(lib_.architecture(device, &architecture), "nvmlDeviceGetArchitecture"));
      out.push_back({index, uuid, ArchitectureName(architecture)});
    }
    return out;
  }

  Result<ConfidentialState> State() override {
    SystemState state{};
    RETURN_IF_ERROR(Check(lib_.state(&state), "nvmlSystemGetConfComputeState"));
    return ConfidentialState{state.cc_feature != 0, state.devtools_mode != 0};
  }

  Result<Bytes> Report(unsigned index, ByteView nonce) override {
    ASSIGN_OR_RETURN(Device device, DeviceAt(index));
    auto out = std::make_unique<AttestationReport>();
    if (nonce.size() != sizeof out->nonce) return Err("gpu.nvml", "nonce", "must have 32 bytes");
    std::copy(nonce.begin(), nonce.end(), out->nonce);
    RETURN_IF_ERROR(Check(lib_.report(device, out.get()), "nvmlDeviceGetConfComputeGpuAttestationReport"));
    if (out->size > sizeof out->report) return Err("gpu.nvml", "report", "claims a size larger than its buffer");
    return Bytes(out->report, out->report + out->size);
  }

  Result<std::string> CertificateChain(unsigned index) override {
    ASSIGN_OR_RETURN(Device device, DeviceAt(index));
    auto out = std::make_unique<Certificate>();
    RETURN_IF_ERROR(Check(lib_.certificate(device, out.get()), "nvmlDeviceGetConfComputeGpuCertificate"));
    if (out->attestation_chain_size > sizeof out->attestation_chain)
      return Err("gpu.nvml", "certificate chain", "claims a size larger than its buffer");
    return std::string(reinterpret_cast<const char*>(out->attestation_chain), out->attestation_chain_size);
  }

  Status SetReady(bool ready) override {
    return Check(lib_.set_ready(ready ? 1 : 0), "nvmlSystemSetConfComputeGpusReadyState");
  }

 private:
  Result<Device> DeviceAt(unsigned index) {
    Device device = nullptr;
    RETURN_IF_ERROR(Check(lib_.handle_by_index(index, &device), "nvmlDeviceGetHandleByIndex"));
    return device;
  }

  Status Check(int code, const char* call) const {
    if (code == kSuccess) return Ok();
    return Err("gpu.nvml", call, "failed with " + std::to_string(code) + ": " + lib_.error_string(code));
  }

  Library lib_;
};

template <class Function>
bool Resolve(void* handle, const char* name, Function*& to, std::string& missing) {
  to = reinterpret_cast<Function*>(::dlsym(handle, name));
  if (!to) missing += (missing.empty() ? "" : ", ") + std::string(name);
  return to != nullptr;
}

}  // namespace

Result<std::unique_ptr<Nvml>> Nvml::Open(const std::string& library_path) {
  Library lib;
  lib.handle = ::dlopen(library_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!lib.handle) return Err("gpu.nvml-missing", library_path, ::dlerror());
  std::string missing;
  Resolve(lib.handle, "nvmlInit_v2", lib.init, missing);
  Resolve(lib.handle, "nvmlShutdown", lib.shutdown, missing);
  Resolve(lib.handle, "nvmlErrorString", lib.error_string, missing);
  Resolve(lib.handle, "nvmlDeviceGetCount_v2", lib.count, missing);
  Resolve(lib.handle, "nvmlDeviceGetHandleByIndex_v2", lib.handle_by_index, missing);
  Resolve(lib.handle, "nvmlDeviceGetUUID", lib.uuid, missing);
  Resolve(lib.handle, "nvmlDeviceGetArchitecture", lib.architecture, missing);
  Resolve(lib.handle, "nvmlSystemGetConfComputeState", lib.state, missing);
  Resolve(lib.handle, "nvmlSystemSetConfComputeGpusReadyState", lib.set_ready, missing);
  Resolve(lib.handle, "nvmlDeviceGetConfComputeGpuCertificate", lib.certificate, missing);
  Resolve(lib.handle, "nvmlDeviceGetConfComputeGpuAttestationReport", lib.report, missing);
  if (!missing.empty()) {
    ::dlclose(lib.handle);
    return Err("gpu.nvml-missing", library_path, "lacks " + missing);
  }
  if (const int code = lib.init(); code != kSuccess) {
    Error error = Err("gpu.nvml", "nvmlInit_v2", "failed with " + std::to_string(code) + ": " + lib.error_string(code));
    ::dlclose(lib.handle);
    return error;
  }
  return std::unique_ptr<Nvml>(std::make_unique<RealNvml>(lib));
}

}  // namespace ccgpu::agent
