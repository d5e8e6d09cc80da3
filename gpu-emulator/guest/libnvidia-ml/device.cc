#include <cstring>

#include "gpu-emulator/guest/libnvidia-ml/state.h"

using ccgpu::link::Mode;
using ccgpu::nvml::Driver;
using ccgpu::nvml::GetState;
using ccgpu::nvml::PutText;
using ccgpu::nvml::ToNvml;
using ccgpu::nvml::WithInfo;
using ccgpu::socket::Client;
using ccgpu::socket::GpuInfo;

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  if (!count) return NVML_ERROR_INVALID_ARGUMENT;
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  *count = driver->gpus();
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetCount(unsigned* count) { return nvmlDeviceGetCount_v2(count); }

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  if (!device) return NVML_ERROR_INVALID_ARGUMENT;
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  auto& state = GetState();
  const std::scoped_lock lock(state.mutex);
  if (index >= driver->gpus() || index >= state.devices.size()) return NVML_ERROR_INVALID_ARGUMENT;
  *device = state.devices[index].get();
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByIndex_v2(index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (!uuid || !device) return NVML_ERROR_INVALID_ARGUMENT;
  const auto driver = Driver();
  if (!driver) return NVML_ERROR_UNINITIALIZED;
  for (uint32_t i = 0; i < driver->gpus(); ++i) {
    const auto info = driver->Info(i);
    if (info.ok() && info->uuid == uuid) return nvmlDeviceGetHandleByIndex_v2(i, device);
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned* index) {
  if (!device || !index) return NVML_ERROR_INVALID_ARGUMENT;
  *index = device->index;
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned* minor) {
  return nvmlDeviceGetIndex(device, minor);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned length) {
  return WithInfo(device, [&](Client&, const GpuInfo& info) { return PutText(info.model, name, length); });
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned length) {
  return WithInfo(device, [&](Client&, const GpuInfo& info) { return PutText(info.uuid, uuid, length); });
}
nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char* serial, unsigned length) {
  return WithInfo(device, [&](Client&, const GpuInfo& info) { return PutText(info.serial, serial, length); });
}
nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char* version, unsigned length) {
  return WithInfo(device, [&](Client&, const GpuInfo& info) { return PutText(info.vbios_version, version, length); });
}

nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned* board) {
  if (!board) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    *board = info.board_id;
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned* architecture) {
  if (!architecture) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    *architecture = NVML_DEVICE_ARCH_UNKNOWN;
    if (info.architecture == "AMPERE") *architecture = NVML_DEVICE_ARCH_AMPERE;
    if (info.architecture == "ADA") *architecture = NVML_DEVICE_ARCH_ADA;
    if (info.architecture == "HOPPER") *architecture = NVML_DEVICE_ARCH_HOPPER;
    if (info.architecture == "BLACKWELL") *architecture = NVML_DEVICE_ARCH_BLACKWELL;
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int* major, int* minor) {
  if (!major || !minor) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    *major = info.compute_major;
    *minor = info.compute_minor;
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (!memory) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    *memory = {info.memory_bytes, info.memory_bytes - info.memory_used, info.memory_used};
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  if (!memory) return NVML_ERROR_INVALID_ARGUMENT;
  if (memory->version != (sizeof *memory | 2u << 24)) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    memory->total = info.memory_bytes;
    memory->reserved = 0;
    memory->free = info.memory_bytes - info.memory_used;
    memory->used = info.memory_used;
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetConfComputeGpuCertificate(nvmlDevice_t device, nvmlConfComputeGpuCertificate_t* certificate) {
  if (!certificate) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client& driver, const GpuInfo&) {
    const auto chain = driver.Chain(device->index);
    if (!chain.ok()) return ToNvml(chain.error());
    if (chain->size() > sizeof certificate->attestationCertChain) return NVML_ERROR_INSUFFICIENT_SIZE;
    std::memset(certificate, 0, sizeof *certificate);
    certificate->attestationCertChainSize = static_cast<unsigned>(chain->size());
    std::memcpy(certificate->attestationCertChain, chain->data(), chain->size());
    // The other chain is that of the session's key, which is the same certificate here; tools read only the attestation
    // chain.
    const size_t size = chain->size() > sizeof certificate->certChain ? 0 : chain->size();
    certificate->certChainSize = static_cast<unsigned>(size);
    std::memcpy(certificate->certChain, chain->data(), size);
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetConfComputeGpuAttestationReport(nvmlDevice_t device,
                                                          nvmlConfComputeGpuAttestationReport_t* report) {
  if (!report) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client& driver, const GpuInfo&) {
    const auto bytes = driver.Attest(device->index, ccgpu::ByteView(report->nonce, sizeof report->nonce));
    if (!bytes.ok()) return ToNvml(bytes.error());
    if (bytes->size() > sizeof report->attestationReport) return NVML_ERROR_INSUFFICIENT_SIZE;
    report->isCecAttestationReportPresent = 0;
    report->cecAttestationReportSize = 0;
    report->attestationReportSize = static_cast<unsigned>(bytes->size());
    std::memcpy(report->attestationReport, bytes->data(), bytes->size());
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t device, nvmlConfComputeMemSizeInfo_t* sizes) {
  if (!sizes) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    const unsigned long long all = info.memory_bytes / 1024;
    const bool is_protected = info.mode != Mode::kOff;
    *sizes = {is_protected ? all : 0, is_protected ? 0 : all};
    return NVML_SUCCESS;
  });
}

nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (!memory) return NVML_ERROR_INVALID_ARGUMENT;
  return WithInfo(device, [&](Client&, const GpuInfo& info) {
    if (info.mode == Mode::kOff) return NVML_ERROR_NOT_SUPPORTED;
    *memory = {info.memory_bytes, info.memory_bytes - info.memory_used, info.memory_used};
    return NVML_SUCCESS;
  });
}

// All memory is protected; there is no other part whose size could be set.
nvmlReturn_t nvmlDeviceSetConfComputeUnprotectedMemSize(nvmlDevice_t device, unsigned long long kib) {
  return WithInfo(device, [&](Client&, const GpuInfo&) { return kib == 0 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED; });
}
