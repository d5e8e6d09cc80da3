// A whole emulated machine in one process, for tests: a GPU with an identity made on the spot, locked; the guest
// driver; the driver's socket; and libcuda and libnvidia-ml loaded as a program would.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/crypto/x509.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/device/gpu.h"
#include "gpu-emulator/guest/driver/driver.h"
#include "gpu-emulator/guest/driver/driver_server.h"
#include "gpu-emulator/guest/libcuda/cuda.h"
#include "gpu-emulator/guest/libnvidia-ml/nvml.h"
#include "gpu-emulator/link/memory.h"

namespace ccgpu::driver {

// Root and leaf on P-384, two measurement blocks.
struct TestIdentity final : spdm::MeasurementSource {
  TestIdentity();
  std::vector<spdm::MeasurementBlock> Blocks() override;
  Bytes OpaqueData() override { return {}; }
  spdm::ResponderConfig Config();

  crypto::PrivateKey root_key, leaf_key;
  crypto::Certificate root, leaf;
  crypto::SystemRandom random;
};

// Kernels in C++ behind the engine's interface, so that these tests stand alone. Its "PTX" is a list of kernel names,
// one a line:
//   add(a, b, c, n): c[i] = a[i] + b[i], 32-bit · poke(address): writes one byte · spin(): until cancelled
std::unique_ptr<ptx::Engine> MakeTestEngine();

class TestMachine {
 public:
  struct Setup {
    link::Mode mode = link::Mode::kHopperCc;
    bool test_engine = true;
    std::vector<link::Mode> accepted = {link::Mode::kOff, link::Mode::kDevtools, link::Mode::kApm,
                                        link::Mode::kHopperCc};
    int heartbeat_ms = 200, exchange_timeout_ms = 2000;
    bool ready = true;  // set the GPU ready at once, where there is a ready state
    bool connect = true;
    Envelope envelope = Envelope::kDoe;
  };
  explicit TestMachine(Setup setup);
  TestMachine(const TestMachine&) = delete;
  ~TestMachine();

  Status Connect();
  std::string socket_path(bool agent = false) const { return folder_ / (agent ? "agent.sock" : "driver.sock"); }
  const std::string& folder() const { return folder_.path(); }
  // The host's own view of the link.
  const link::LinkMemory& host() const { return host_; }
  // Where a text lies in the link's memory; 0 if nowhere.
  size_t FindInLink(std::string_view text) const;

  TestIdentity identity;
  std::unique_ptr<device::Gpu> gpu;
  device::LockInfo lock;
  std::shared_ptr<GuestDriver> driver;
  std::unique_ptr<DriverServer> server, agent_server;
  std::atomic<int> lost_calls = 0;

 private:
  Setup setup_;
  const TempDir folder_;
  link::LinkMemory host_;
};

// A fresh instance of a guest library: what it remembers of an earlier test is not there.
class Library {
 public:
  Library(const std::string& name, const std::string& socket_path);
  ~Library();
  template <typename Function>
  Function* Get(const char* name) const {
    return reinterpret_cast<Function*>(Symbol(name));
  }

 private:
  void* Symbol(const char* name) const;
  void* handle_ = nullptr;
};

struct Cuda : Library {
  explicit Cuda(const TestMachine& machine) : Library("libcuda.so.1", machine.socket_path()) {}
#define CCGPU_CALL(name) decltype(&::name) name = Get<decltype(::name)>(#name)
  CCGPU_CALL(cuInit);
  CCGPU_CALL(cuGetErrorName);
  CCGPU_CALL(cuDeviceGet);
  CCGPU_CALL(cuDeviceGetName);
  CCGPU_CALL(cuDevicePrimaryCtxRetain);
  CCGPU_CALL(cuDevicePrimaryCtxReset_v2);
  CCGPU_CALL(cuCtxSetCurrent);
  CCGPU_CALL(cuCtxSynchronize);
  CCGPU_CALL(cuModuleLoadDataEx);
  CCGPU_CALL(cuModuleGetFunction);
  CCGPU_CALL(cuModuleUnload);
  CCGPU_CALL(cuMemAlloc_v2);
  CCGPU_CALL(cuMemAllocManaged);
  CCGPU_CALL(cuMemFree_v2);
  CCGPU_CALL(cuMemcpyHtoD_v2);
  CCGPU_CALL(cuMemcpyDtoH_v2);
  CCGPU_CALL(cuMemcpyDtoHAsync_v2);
  CCGPU_CALL(cuMemcpyDtoD_v2);
  CCGPU_CALL(cuMemsetD32_v2);
  CCGPU_CALL(cuMemGetInfo_v2);
  CCGPU_CALL(cuLaunchKernel);
  CCGPU_CALL(cuStreamCreate);
  CCGPU_CALL(cuStreamQuery);
  CCGPU_CALL(cuStreamSynchronize);
  CCGPU_CALL(cuStreamAddCallback);
  CCGPU_CALL(cuEventCreate);
  CCGPU_CALL(cuEventRecord);
  CCGPU_CALL(cuEventQuery);
  CCGPU_CALL(cuEventSynchronize);
  CCGPU_CALL(cuEventElapsedTime);
  CCGPU_CALL(cuGetProcAddress_v2);
  CCGPU_CALL(cuLinkCreate_v2);
  CCGPU_CALL(cuLinkAddData_v2);
  CCGPU_CALL(cuLinkComplete);
  CCGPU_CALL(cuLinkDestroy);
#undef CCGPU_CALL
  // cuInit, primary context of device 0, made current.
  CUresult Begin();
};

struct Nvml : Library {
  explicit Nvml(const std::string& socket_path) : Library("libnvidia-ml.so.1", socket_path) {}
#define CCGPU_CALL(name) decltype(&::name) name = Get<decltype(::name)>(#name)
  CCGPU_CALL(nvmlInit_v2);
  CCGPU_CALL(nvmlShutdown);
  CCGPU_CALL(nvmlErrorString);
  CCGPU_CALL(nvmlDeviceGetCount);
  CCGPU_CALL(nvmlDeviceGetHandleByIndex);
  CCGPU_CALL(nvmlDeviceGetUUID);
  CCGPU_CALL(nvmlDeviceGetVbiosVersion);
  CCGPU_CALL(nvmlDeviceGetArchitecture);
  CCGPU_CALL(nvmlDeviceGetMemoryInfo);
  CCGPU_CALL(nvmlSystemGetDriverVersion);
  CCGPU_CALL(nvmlSystemGetConfComputeState);
  CCGPU_CALL(nvmlSystemGetConfComputeSettings);
  CCGPU_CALL(nvmlSystemGetConfComputeGpusReadyState);
  CCGPU_CALL(nvmlSystemSetConfComputeGpusReadyState);
  CCGPU_CALL(nvmlDeviceGetConfComputeGpuCertificate);
  CCGPU_CALL(nvmlDeviceGetConfComputeGpuAttestationReport);
#undef CCGPU_CALL
};

// Waits for a condition that another thread brings about; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

}  // namespace ccgpu::driver
