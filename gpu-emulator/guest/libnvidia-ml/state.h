// What NVML's calls share: the connection to the driver, and handles.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "gpu-emulator/guest/libnvidia-ml/nvml.h"
#include "gpu-emulator/guest/socket/client.h"

struct nvmlDevice_st {
  uint32_t index = 0;
};

namespace ccgpu::nvml {

struct State {
  std::mutex mutex;
  int users = 0;  // nvmlInit calls without their nvmlShutdown
  std::shared_ptr<socket::Client> client;
  std::vector<std::unique_ptr<nvmlDevice_st>> devices;  // handles live as long as the process
};
State& GetState();

// The driver, if nvmlInit was called; null otherwise.
std::shared_ptr<socket::Client> Driver();
nvmlReturn_t ToNvml(const Error& error);
nvmlReturn_t PutText(std::string_view text, char* out, unsigned length);

// Runs `use` with the driver and fresh information on the device.
template <typename Use>
nvmlReturn_t WithInfo(nvmlDevice_t device, const Use& use) {
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  if (!device) return NVML_ERROR_INVALID_ARGUMENT;
  const auto info = driver->Info(device->index);
  if (!info.ok()) return ToNvml(info.error());
  if (info->lost) return NVML_ERROR_GPU_IS_LOST;
  return use(*driver, *info);
}

}  // namespace ccgpu::nvml
