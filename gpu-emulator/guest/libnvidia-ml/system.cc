#include "gpu-emulator/guest/libnvidia-ml/state.h"

using ccgpu::link::Mode;
using ccgpu::nvml::Driver;
using ccgpu::nvml::PutText;
using ccgpu::nvml::ToNvml;

namespace {

// What the system as a whole says: the weakest of its GPUs decides, so that one GPU out of CC mode cannot hide behind
// another.
nvmlReturn_t SystemMode(Mode* mode, bool* devtools) {
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  *mode = driver->gpus() == 0 ? Mode::kOff : Mode::kHopperCc;
  *devtools = false;
  for (uint32_t i = 0; i < driver->gpus(); ++i) {
    const auto info = driver->Info(i);
    if (!info.ok()) return ToNvml(info.error());
    if (info->mode == Mode::kOff) *mode = Mode::kOff;
    if (info->mode == Mode::kDevtools) *devtools = true;
    if (info->mode == Mode::kApm && *mode != Mode::kOff) *mode = Mode::kApm;
  }
  return NVML_SUCCESS;
}

}  // namespace

nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned length) {
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  if (driver->gpus() == 0) return NVML_ERROR_NOT_FOUND;
  const auto info = driver->Info(0);
  return info.ok() ? PutText(info->driver_version, version, length) : ToNvml(info.error());
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char* version, unsigned length) {
  char driver[80];
  if (const nvmlReturn_t got = nvmlSystemGetDriverVersion(driver, sizeof driver); got != NVML_SUCCESS) return got;
  return PutText(std::string("12.") + driver, version, length);  // "<CUDA major>.<driver>", as the vendor's
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* version) {
  if (!version) return NVML_ERROR_INVALID_ARGUMENT;
  *version = 12040;
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

nvmlReturn_t nvmlSystemGetConfComputeState(nvmlConfComputeSystemState_t* state) {
  if (!state) return NVML_ERROR_INVALID_ARGUMENT;
  Mode mode;
  bool devtools;
  if (const nvmlReturn_t got = SystemMode(&mode, &devtools); got != NVML_SUCCESS) return got;
  const bool on = mode != Mode::kOff;
  state->environment = on ? NVML_CC_SYSTEM_ENVIRONMENT_SIM
                          : NVML_CC_SYSTEM_ENVIRONMENT_UNAVAILABLE;  // an emulator is never "production"
  state->ccFeature = on;
  state->devToolsMode = on && devtools;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetConfComputeSettings(nvmlSystemConfComputeSettings_t* settings) {
  if (!settings) return NVML_ERROR_INVALID_ARGUMENT;
  if (settings->version != nvmlSystemConfComputeSettings_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  nvmlConfComputeSystemState_t state;
  if (const nvmlReturn_t got = nvmlSystemGetConfComputeState(&state); got != NVML_SUCCESS) return got;
  settings->environment = state.environment;
  settings->ccFeature = state.ccFeature;
  settings->devToolsMode = state.devToolsMode;
  settings->multiGpuMode = 0;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetConfComputeCapabilities(nvmlConfComputeSystemCaps_t* capabilities) {
  if (!capabilities) return NVML_ERROR_INVALID_ARGUMENT;
  Mode mode;
  bool devtools;
  if (const nvmlReturn_t got = SystemMode(&mode, &devtools); got != NVML_SUCCESS) return got;
  capabilities->cpuCaps = NVML_CC_SYSTEM_CPU_CAPS_AMD_SEV_SNP;
  capabilities->gpusCaps = mode != Mode::kOff;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetConfComputeGpusReadyState(unsigned* ready) {
  if (!ready) return NVML_ERROR_INVALID_ARGUMENT;
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  const auto got = driver->GetReady();
  if (!got.ok()) return ToNvml(got.error());
  *ready = *got ? 1 : 0;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemSetConfComputeGpusReadyState(unsigned ready) {
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  if (ready > 1) return NVML_ERROR_INVALID_ARGUMENT;
  const auto set = driver->SetReady(ready == 1);
  return set.ok() ? NVML_SUCCESS : ToNvml(set.error());
}

nvmlReturn_t nvmlSystemGetConfComputeKeyRotationThresholdInfo(nvmlConfComputeGetKeyRotationThresholdInfo_t* info) {
  if (!info) return NVML_ERROR_INVALID_ARGUMENT;
  if (!Driver()) return NVML_ERROR_UNINITIALIZED;
  info->attackerAdvantage = 60;  // 2^-60; the link rotates its keys well before (gpu-emulator/link/cipher.h)
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemSetConfComputeKeyRotationThresholdInfo(nvmlConfComputeSetKeyRotationThresholdInfo_t* info) {
  if (!info) return NVML_ERROR_INVALID_ARGUMENT;
  unsigned ready = 0;
  if (const nvmlReturn_t got = nvmlSystemGetConfComputeGpusReadyState(&ready); got != NVML_SUCCESS) return got;
  if (ready == 1) return NVML_ERROR_INVALID_STATE;
  return info->maxAttackerAdvantage == 60 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}
