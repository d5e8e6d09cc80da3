#include <array>

#include "gpu-emulator/guest/libcuda/cuda.h"

namespace {

struct Text {
  CUresult error;
  const char* name;
  const char* text;
};
#define CCGPU_ERROR(name, text) \
  { name, #name, text }
constexpr Text kTexts[] = {
    CCGPU_ERROR(CUDA_SUCCESS, "no error"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    CCGPU_ERROR(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    CCGPU_ERROR(CUDA_ERROR_NOT_INITIALIZED, "cuInit was not called or did not succeed"),
    CCGPU_ERROR(CUDA_ERROR_DEINITIALIZED, "the driver is shutting down"),
    CCGPU_ERROR(CUDA_ERROR_DEVICE_UNAVAILABLE, "the GPU is lost or busy"),
    CCGPU_ERROR(CUDA_ERROR_NO_DEVICE, "no GPU in this container"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_DEVICE, "no such device"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_IMAGE, "the module is not an image that can be loaded"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_CONTEXT, "no current context, or not a context"),
    CCGPU_ERROR(CUDA_ERROR_NO_BINARY_FOR_GPU, "the module holds no code for this GPU (PTX is wanted)"),
    CCGPU_ERROR(CUDA_ERROR_ECC_UNCORRECTABLE, "data was damaged on its way to or from the GPU; nothing of it was used"),
    CCGPU_ERROR(CUDA_ERROR_UNSUPPORTED_LIMIT, "unknown limit"),
    CCGPU_ERROR(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "the GPUs cannot reach each other"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_PTX, "the PTX could not be compiled"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_SOURCE, "invalid source"),
    CCGPU_ERROR(CUDA_ERROR_FILE_NOT_FOUND, "file not found"),
    CCGPU_ERROR(CUDA_ERROR_OPERATING_SYSTEM, "a call to the operating system failed"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_HANDLE, "not a valid handle"),
    CCGPU_ERROR(CUDA_ERROR_NOT_FOUND, "no symbol of that name"),
    CCGPU_ERROR(CUDA_ERROR_NOT_READY, "not finished yet"),
    CCGPU_ERROR(CUDA_ERROR_ILLEGAL_ADDRESS, "a kernel touched memory that is not its own"),
    CCGPU_ERROR(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for the launch"),
    CCGPU_ERROR(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch was cancelled"),
    CCGPU_ERROR(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is active"),
    CCGPU_ERROR(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context is destroyed"),
    CCGPU_ERROR(CUDA_ERROR_ASSERT, "an assertion failed in a kernel"),
    CCGPU_ERROR(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "the memory is registered already"),
    CCGPU_ERROR(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "the memory is not registered"),
    CCGPU_ERROR(CUDA_ERROR_ILLEGAL_INSTRUCTION, "a kernel ran into an illegal instruction"),
    CCGPU_ERROR(CUDA_ERROR_MISALIGNED_ADDRESS, "a kernel used a misaligned address"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_ADDRESS_SPACE, "an address is in the wrong space"),
    CCGPU_ERROR(CUDA_ERROR_INVALID_PC, "invalid program counter"),
    CCGPU_ERROR(CUDA_ERROR_LAUNCH_FAILED, "the launch failed or the GPU was lost"),
    CCGPU_ERROR(CUDA_ERROR_NOT_PERMITTED, "not permitted"),
    CCGPU_ERROR(CUDA_ERROR_NOT_SUPPORTED, "not supported"),
    CCGPU_ERROR(CUDA_ERROR_SYSTEM_NOT_READY, "system not yet initialized: the GPU is not attested and set ready"),
    CCGPU_ERROR(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "the library and the driver do not fit each other"),
    CCGPU_ERROR(CUDA_ERROR_UNKNOWN, "unknown error"),
};
#undef CCGPU_ERROR

const Text* Find(CUresult error) {
  for (const Text& text : kTexts) {
    if (text.error == error) return &text;
  }
  return nullptr;
}

}  // namespace

CUresult cuGetErrorName(CUresult error, const char** text) {
  if (!text) return CUDA_ERROR_INVALID_VALUE;
  const Text* found = Find(error);
  *text = found ? found->name : nullptr;
  return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  if (!text) return CUDA_ERROR_INVALID_VALUE;
  const Text* found = Find(error);
  *text = found ? found->text : nullptr;
  return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
