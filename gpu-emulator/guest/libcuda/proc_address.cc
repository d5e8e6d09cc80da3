// Names that cuGetProcAddress knows. A plain name stands for its newest version, as in the vendor's library.
#include <cstring>

#include "gpu-emulator/guest/libcuda/cuda.h"

namespace {

struct Entry {
  const char* name;
  void* function;
};
#define CCGPU_ENTRY(name) \
  { #name, reinterpret_cast<void*>(&name) }
const Entry kEntries[] = {
    CCGPU_ENTRY(cuInit),
    CCGPU_ENTRY(cuDriverGetVersion),
    CCGPU_ENTRY(cuGetErrorName),
    CCGPU_ENTRY(cuGetErrorString),
    CCGPU_ENTRY(cuGetProcAddress),
    CCGPU_ENTRY(cuGetProcAddress_v2),
    CCGPU_ENTRY(cuDeviceGetCount),
    CCGPU_ENTRY(cuDeviceGet),
    CCGPU_ENTRY(cuDeviceGetName),
    CCGPU_ENTRY(cuDeviceGetUuid),
    CCGPU_ENTRY(cuDeviceGetUuid_v2),
    CCGPU_ENTRY(cuDeviceGetAttribute),
    CCGPU_ENTRY(cuDeviceComputeCapability),
    CCGPU_ENTRY(cuDeviceTotalMem_v2),
    CCGPU_ENTRY(cuDeviceGetPCIBusId),
    CCGPU_ENTRY(cuDeviceCanAccessPeer),
    CCGPU_ENTRY(cuDevicePrimaryCtxRetain),
    CCGPU_ENTRY(cuDevicePrimaryCtxRelease_v2),
    CCGPU_ENTRY(cuDevicePrimaryCtxReset_v2),
    CCGPU_ENTRY(cuDevicePrimaryCtxGetState),
    CCGPU_ENTRY(cuDevicePrimaryCtxSetFlags_v2),
    CCGPU_ENTRY(cuCtxCreate_v2),
    CCGPU_ENTRY(cuCtxDestroy_v2),
    CCGPU_ENTRY(cuCtxGetCurrent),
    CCGPU_ENTRY(cuCtxSetCurrent),
    CCGPU_ENTRY(cuCtxPushCurrent_v2),
    CCGPU_ENTRY(cuCtxPopCurrent_v2),
    CCGPU_ENTRY(cuCtxGetDevice),
    CCGPU_ENTRY(cuCtxGetFlags),
    CCGPU_ENTRY(cuCtxGetApiVersion),
    CCGPU_ENTRY(cuCtxSynchronize),
    CCGPU_ENTRY(cuCtxGetLimit),
    CCGPU_ENTRY(cuCtxSetLimit),
    CCGPU_ENTRY(cuCtxSetCacheConfig),
    CCGPU_ENTRY(cuCtxGetStreamPriorityRange),
    CCGPU_ENTRY(cuCtxEnablePeerAccess),
    CCGPU_ENTRY(cuModuleLoad),
    CCGPU_ENTRY(cuModuleLoadData),
    CCGPU_ENTRY(cuModuleLoadDataEx),
    CCGPU_ENTRY(cuModuleUnload),
    CCGPU_ENTRY(cuModuleGetFunction),
    CCGPU_ENTRY(cuModuleGetGlobal_v2),
    CCGPU_ENTRY(cuLinkCreate_v2),
    CCGPU_ENTRY(cuLinkAddData_v2),
    CCGPU_ENTRY(cuLinkAddFile_v2),
    CCGPU_ENTRY(cuLinkComplete),
    CCGPU_ENTRY(cuLinkDestroy),
    CCGPU_ENTRY(cuFuncGetAttribute),
    CCGPU_ENTRY(cuFuncSetAttribute),
    CCGPU_ENTRY(cuFuncSetCacheConfig),
    CCGPU_ENTRY(cuMemGetInfo_v2),
    CCGPU_ENTRY(cuMemAlloc_v2),
    CCGPU_ENTRY(cuMemAllocManaged),
    CCGPU_ENTRY(cuMemFree_v2),
    CCGPU_ENTRY(cuMemAllocAsync),
    CCGPU_ENTRY(cuMemFreeAsync),
    CCGPU_ENTRY(cuMemGetAddressRange_v2),
    CCGPU_ENTRY(cuMemAllocHost_v2),
    CCGPU_ENTRY(cuMemHostAlloc),
    CCGPU_ENTRY(cuMemFreeHost),
    CCGPU_ENTRY(cuMemHostRegister_v2),
    CCGPU_ENTRY(cuMemHostUnregister),
    CCGPU_ENTRY(cuMemHostGetDevicePointer_v2),
    CCGPU_ENTRY(cuMemHostGetFlags),
    CCGPU_ENTRY(cuMemcpy),
    CCGPU_ENTRY(cuMemcpyAsync),
    CCGPU_ENTRY(cuMemcpyHtoD_v2),
    CCGPU_ENTRY(cuMemcpyDtoH_v2),
    CCGPU_ENTRY(cuMemcpyDtoD_v2),
    CCGPU_ENTRY(cuMemcpyHtoDAsync_v2),
    CCGPU_ENTRY(cuMemcpyDtoHAsync_v2),
    CCGPU_ENTRY(cuMemcpyDtoDAsync_v2),
    CCGPU_ENTRY(cuMemsetD8_v2),
    CCGPU_ENTRY(cuMemsetD16_v2),
    CCGPU_ENTRY(cuMemsetD32_v2),
    CCGPU_ENTRY(cuMemsetD8Async),
    CCGPU_ENTRY(cuMemsetD16Async),
    CCGPU_ENTRY(cuMemsetD32Async),
    CCGPU_ENTRY(cuPointerGetAttribute),
    CCGPU_ENTRY(cuIpcGetMemHandle),
    CCGPU_ENTRY(cuIpcOpenMemHandle_v2),
    CCGPU_ENTRY(cuIpcCloseMemHandle),
    CCGPU_ENTRY(cuStreamCreate),
    CCGPU_ENTRY(cuStreamCreateWithPriority),
    CCGPU_ENTRY(cuStreamDestroy_v2),
    CCGPU_ENTRY(cuStreamSynchronize),
    CCGPU_ENTRY(cuStreamQuery),
    CCGPU_ENTRY(cuStreamWaitEvent),
    CCGPU_ENTRY(cuStreamAddCallback),
    CCGPU_ENTRY(cuLaunchHostFunc),
    CCGPU_ENTRY(cuStreamGetFlags),
    CCGPU_ENTRY(cuStreamGetPriority),
    CCGPU_ENTRY(cuStreamGetCtx),
    CCGPU_ENTRY(cuEventCreate),
    CCGPU_ENTRY(cuEventDestroy_v2),
    CCGPU_ENTRY(cuEventRecord),
    CCGPU_ENTRY(cuEventQuery),
    CCGPU_ENTRY(cuEventSynchronize),
    CCGPU_ENTRY(cuEventElapsedTime),
    CCGPU_ENTRY(cuLaunchKernel),
    CCGPU_ENTRY(cuLaunchCooperativeKernel),
    CCGPU_ENTRY(cuOccupancyMaxActiveBlocksPerMultiprocessor),
    CCGPU_ENTRY(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags),
    CCGPU_ENTRY(cuOccupancyMaxPotentialBlockSize),
    CCGPU_ENTRY(cuOccupancyMaxPotentialBlockSizeWithFlags),
    CCGPU_ENTRY(cuProfilerStart),
    CCGPU_ENTRY(cuProfilerStop),
};
#undef CCGPU_ENTRY

void* Named(const char* symbol, const char* suffix) {
  const size_t length = std::strlen(symbol);
  for (const Entry& entry : kEntries) {
    if (std::strncmp(entry.name, symbol, length) == 0 && std::strcmp(entry.name + length, suffix) == 0)
      return entry.function;
  }
  return nullptr;
}

void* Find(const char* symbol) {
  void* newest = Named(symbol, "_v2");
  return newest ? newest : Named(symbol, "");
}

}  // namespace

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int, cuuint64_t,
                             CUdriverProcAddressQueryResult* status) {
  if (!symbol || !function) return CUDA_ERROR_INVALID_VALUE;
  *function = Find(symbol);
  if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char* symbol, void** function, int version, cuuint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}
