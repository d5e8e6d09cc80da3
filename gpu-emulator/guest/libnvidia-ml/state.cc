#include "gpu-emulator/guest/libnvidia-ml/state.h"

#include <cstring>

namespace ccgpu::nvml {
namespace {

struct Mapping {
  std::string_view code;
  nvmlReturn_t result;
};
constexpr Mapping kMappings[] = {
    {"gpu.not-permitted", NVML_ERROR_NO_PERMISSION},
    {"gpu.ready-latched", NVML_ERROR_INVALID_ARGUMENT},  // the vendor's answer once the ready state was taken back
    {"gpu.mode-off", NVML_ERROR_NOT_SUPPORTED},
    {"gpu.lost", NVML_ERROR_GPU_IS_LOST},
    {"gpu.bad-nonce", NVML_ERROR_INVALID_ARGUMENT},
    {"driver.bad-request", NVML_ERROR_INVALID_ARGUMENT},
    {"driver.no-socket", NVML_ERROR_DRIVER_NOT_LOADED},
    {"driver.version", NVML_ERROR_LIB_RM_VERSION_MISMATCH},
    {"driver.closed", NVML_ERROR_GPU_IS_LOST},
    {"driver.io", NVML_ERROR_GPU_IS_LOST},
    {"link.timeout", NVML_ERROR_TIMEOUT},
};

struct Text {
  nvmlReturn_t result;
  const char* text;
};
constexpr Text kTexts[] = {
    {NVML_SUCCESS, "Success"},
    {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
    {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
    {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
    {NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"},
    {NVML_ERROR_ALREADY_INITIALIZED, "Already Initialized"},
    {NVML_ERROR_NOT_FOUND, "Not Found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
    {NVML_ERROR_TIMEOUT, "Timeout"},
    {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
    {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
    {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "Argument version mismatch"},
    {NVML_ERROR_INVALID_STATE, "Invalid State"},
};

}  // namespace

State& GetState() {
  static State* const state = new State;  // never destroyed: exit handlers may still call
  return *state;
}

std::shared_ptr<socket::Client> Driver() {
  State& state = GetState();
  const std::scoped_lock lock(state.mutex);
  return state.client;
}

nvmlReturn_t ToNvml(const Error& error) {
  for (const Mapping& mapping : kMappings) {
    if (mapping.code == error.code) return mapping.result;
  }
  return NVML_ERROR_UNKNOWN;
}

nvmlReturn_t PutText(std::string_view text, char* out, unsigned length) {
  if (!out) return NVML_ERROR_INVALID_ARGUMENT;
  if (text.size() + 1 > length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = 0;
  return NVML_SUCCESS;
}

}  // namespace ccgpu::nvml

using ccgpu::nvml::GetState;

nvmlReturn_t nvmlInitWithFlags(unsigned) {
  auto& state = GetState();
  const std::scoped_lock lock(state.mutex);
  if (!state.client) {
    auto client = ccgpu::socket::Client::Connect();
    if (!client.ok()) return ccgpu::nvml::ToNvml(client.error());
    state.client = std::move(*client);
    while (state.devices.size() < state.client->gpus()) {
      state.devices.push_back(std::make_unique<nvmlDevice_st>());
      state.devices.back()->index = static_cast<uint32_t>(state.devices.size() - 1);
    }
  }
  ++state.users;
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
nvmlReturn_t nvmlInit(void) { return nvmlInitWithFlags(0); }

nvmlReturn_t nvmlShutdown(void) {
  auto& state = GetState();
  const std::scoped_lock lock(state.mutex);
  if (state.users == 0) return NVML_ERROR_UNINITIALIZED;
  if (--state.users == 0) state.client.reset();
  return NVML_SUCCESS;
}

const char* nvmlErrorString(nvmlReturn_t result) {
  for (const auto& text : ccgpu::nvml::kTexts) {
    if (text.result == result) return text.text;
  }
  return "Unknown Error";
}
