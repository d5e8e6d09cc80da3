/* The part of the CUDA driver API that this library has: names, types and numbers as programs know them, so that a
 * program compiled against the vendor's cuda.h finds what it expects, and one compiled against this header runs on the
 * vendor's driver. */
#ifndef CCGPU_CUDA_H_
#define CCGPU_CUDA_H_

#include <stddef.h>
#include <stdint.h>

#define CUDA_VERSION 12040

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long long CUdeviceptr;
typedef int CUdevice;
typedef uint64_t cuuint64_t;
typedef struct CUctx_st* CUcontext;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef struct CUstream_st* CUstream;
typedef struct CUevent_st* CUevent;
typedef struct CUlinkState_st* CUlinkState;
typedef struct CUuuid_st {
  char bytes[16];
} CUuuid;
typedef struct CUipcMemHandle_st {
  char reserved[64];
} CUipcMemHandle;

#define CU_STREAM_LEGACY ((CUstream)0x1)
#define CU_STREAM_PER_THREAD ((CUstream)0x2)

typedef enum cudaError_enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_DEINITIALIZED = 4,
  CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_ECC_UNCORRECTABLE = 214,
  CUDA_ERROR_UNSUPPORTED_LIMIT = 215,
  CUDA_ERROR_PEER_ACCESS_UNSUPPORTED = 217,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_INVALID_SOURCE = 300,
  CUDA_ERROR_FILE_NOT_FOUND = 301,
  CUDA_ERROR_OPERATING_SYSTEM = 304,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE = 708,
  CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
  CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
  CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
  CUDA_ERROR_INVALID_PC = 718,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_PERMITTED = 800,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_SYSTEM_NOT_READY = 802,
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
  CUDA_ERROR_UNKNOWN = 999
} CUresult;

typedef enum CUdevice_attribute_enum {
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
  CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY = 9,
  CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
  CU_DEVICE_ATTRIBUTE_MAX_PITCH = 11,
  CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
  CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,
  CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT = 14,
  CU_DEVICE_ATTRIBUTE_GPU_OVERLAP = 15,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT = 17,
  CU_DEVICE_ATTRIBUTE_INTEGRATED = 18,
  CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  CU_DEVICE_ATTRIBUTE_COMPUTE_MODE = 20,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
  CU_DEVICE_ATTRIBUTE_ECC_ENABLED = 32,
  CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
  CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
  CU_DEVICE_ATTRIBUTE_TCC_DRIVER = 35,
  CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,
  CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
  CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
  CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID = 50,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED = 78,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
  CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
  CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY = 83,
  CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD = 84,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
  CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR = 106,
  CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK = 111,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115
} CUdevice_attribute;

typedef enum CUfunction_attribute_enum {
  CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
  CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
  CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2,
  CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
  CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
  CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,
  CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6,
  CU_FUNC_ATTRIBUTE_CACHE_MODE_CA = 7,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9
} CUfunction_attribute;

typedef enum CUpointer_attribute_enum {
  CU_POINTER_ATTRIBUTE_CONTEXT = 1,
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,
  CU_POINTER_ATTRIBUTE_HOST_POINTER = 4,
  CU_POINTER_ATTRIBUTE_SYNC_MEMOPS = 6,
  CU_POINTER_ATTRIBUTE_BUFFER_ID = 7,
  CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
  CU_POINTER_ATTRIBUTE_RANGE_START_ADDR = 11,
  CU_POINTER_ATTRIBUTE_RANGE_SIZE = 12,
  CU_POINTER_ATTRIBUTE_MAPPED = 13
} CUpointer_attribute;

typedef enum CUmemorytype_enum {
  CU_MEMORYTYPE_HOST = 1,
  CU_MEMORYTYPE_DEVICE = 2,
  CU_MEMORYTYPE_ARRAY = 3,
  CU_MEMORYTYPE_UNIFIED = 4
} CUmemorytype;
typedef enum CUfunc_cache_enum {
  CU_FUNC_CACHE_PREFER_NONE = 0,
  CU_FUNC_CACHE_PREFER_SHARED = 1,
  CU_FUNC_CACHE_PREFER_L1 = 2,
  CU_FUNC_CACHE_PREFER_EQUAL = 3
} CUfunc_cache;
typedef enum CUlimit_enum {
  CU_LIMIT_STACK_SIZE = 0,
  CU_LIMIT_PRINTF_FIFO_SIZE = 1,
  CU_LIMIT_MALLOC_HEAP_SIZE = 2
} CUlimit;
typedef enum CUjitInputType_enum {
  CU_JIT_INPUT_CUBIN = 0,
  CU_JIT_INPUT_PTX = 1,
  CU_JIT_INPUT_FATBINARY = 2,
  CU_JIT_INPUT_OBJECT = 3,
  CU_JIT_INPUT_LIBRARY = 4,
  CU_JIT_INPUT_NVVM = 5
} CUjitInputType;
typedef enum CUjit_option_enum {
  CU_JIT_MAX_REGISTERS = 0,
  CU_JIT_THREADS_PER_BLOCK = 1,
  CU_JIT_WALL_TIME = 2,
  CU_JIT_INFO_LOG_BUFFER = 3,
  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
  CU_JIT_OPTIMIZATION_LEVEL = 7,
  CU_JIT_TARGET_FROM_CUCONTEXT = 8,
  CU_JIT_TARGET = 9,
  CU_JIT_FALLBACK_STRATEGY = 10,
  CU_JIT_GENERATE_DEBUG_INFO = 11,
  CU_JIT_LOG_VERBOSE = 12,
  CU_JIT_GENERATE_LINE_INFO = 13,
  CU_JIT_CACHE_MODE = 14
} CUjit_option;
typedef enum CUdriverProcAddressQueryResult_enum {
  CU_GET_PROC_ADDRESS_SUCCESS = 0,
  CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND = 1,
  CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT = 2
} CUdriverProcAddressQueryResult;

#define CU_CTX_SCHED_AUTO 0
#define CU_STREAM_DEFAULT 0
#define CU_STREAM_NON_BLOCKING 1
#define CU_EVENT_DEFAULT 0
#define CU_EVENT_BLOCKING_SYNC 1
#define CU_EVENT_DISABLE_TIMING 2
#define CU_MEM_ATTACH_GLOBAL 1
#define CU_MEMHOSTALLOC_PORTABLE 1
#define CU_MEMHOSTALLOC_DEVICEMAP 2
#define CU_MEMHOSTALLOC_WRITECOMBINED 4
#define CU_MEMHOSTREGISTER_PORTABLE 1
#define CU_MEMHOSTREGISTER_DEVICEMAP 2
#define CU_LAUNCH_PARAM_END ((void*)0x00)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void*)0x01)
#define CU_LAUNCH_PARAM_BUFFER_SIZE ((void*)0x02)

typedef void (*CUstreamCallback)(CUstream stream, CUresult status, void* data);
typedef void (*CUhostFn)(void* data);
typedef size_t (*CUoccupancyB2DSize)(int block_size);

#define CCGPU_CU __attribute__((visibility("default"))) CUresult

/* Names with _v2 are those that the vendor's header maps the plain names to; the library exports both. */
CCGPU_CU cuInit(unsigned flags);
CCGPU_CU cuDriverGetVersion(int* version);
CCGPU_CU cuGetErrorName(CUresult error, const char** text);
CCGPU_CU cuGetErrorString(CUresult error, const char** text);
CCGPU_CU cuGetProcAddress(const char* symbol, void** function, int cuda_version, cuuint64_t flags);
CCGPU_CU cuGetProcAddress_v2(const char* symbol, void** function, int cuda_version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status);

CCGPU_CU cuDeviceGetCount(int* count);
CCGPU_CU cuDeviceGet(CUdevice* device, int ordinal);
CCGPU_CU cuDeviceGetName(char* name, int length, CUdevice device);
CCGPU_CU cuDeviceGetUuid(CUuuid* uuid, CUdevice device);
CCGPU_CU cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device);
CCGPU_CU cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device);
CCGPU_CU cuDeviceComputeCapability(int* major, int* minor, CUdevice device);
CCGPU_CU cuDeviceTotalMem_v2(size_t* bytes, CUdevice device);
CCGPU_CU cuDeviceGetPCIBusId(char* id, int length, CUdevice device);
CCGPU_CU cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer);

CCGPU_CU cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device);
CCGPU_CU cuDevicePrimaryCtxRelease_v2(CUdevice device);
CCGPU_CU cuDevicePrimaryCtxReset_v2(CUdevice device);
CCGPU_CU cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active);
CCGPU_CU cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags);
CCGPU_CU cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice device);
CCGPU_CU cuCtxDestroy_v2(CUcontext context);
CCGPU_CU cuCtxGetCurrent(CUcontext* context);
CCGPU_CU cuCtxSetCurrent(CUcontext context);
CCGPU_CU cuCtxPushCurrent_v2(CUcontext context);
CCGPU_CU cuCtxPopCurrent_v2(CUcontext* context);
CCGPU_CU cuCtxGetDevice(CUdevice* device);
CCGPU_CU cuCtxGetFlags(unsigned* flags);
CCGPU_CU cuCtxGetApiVersion(CUcontext context, unsigned* version);
CCGPU_CU cuCtxSynchronize(void);
CCGPU_CU cuCtxGetLimit(size_t* value, CUlimit limit);
CCGPU_CU cuCtxSetLimit(CUlimit limit, size_t value);
CCGPU_CU cuCtxSetCacheConfig(CUfunc_cache config);
CCGPU_CU cuCtxGetStreamPriorityRange(int* least, int* greatest);
CCGPU_CU cuCtxEnablePeerAccess(CUcontext peer, unsigned flags);

CCGPU_CU cuModuleLoad(CUmodule* module, const char* path);
CCGPU_CU cuModuleLoadData(CUmodule* module, const void* image);
CCGPU_CU cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options, void** values);
CCGPU_CU cuModuleUnload(CUmodule module);
CCGPU_CU cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name);
CCGPU_CU cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name);
CCGPU_CU cuLinkCreate_v2(unsigned count, CUjit_option* options, void** values, CUlinkState* state);
CCGPU_CU cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name,
                          unsigned count, CUjit_option* options, void** values);
CCGPU_CU cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned count,
                          CUjit_option* options, void** values);
CCGPU_CU cuLinkComplete(CUlinkState state, void** cubin, size_t* size);
CCGPU_CU cuLinkDestroy(CUlinkState state);
CCGPU_CU cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function);
CCGPU_CU cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value);
CCGPU_CU cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config);

CCGPU_CU cuMemGetInfo_v2(size_t* available, size_t* total);
CCGPU_CU cuMemAlloc_v2(CUdeviceptr* address, size_t bytes);
CCGPU_CU cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned flags);
CCGPU_CU cuMemFree_v2(CUdeviceptr address);
CCGPU_CU cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream);
CCGPU_CU cuMemFreeAsync(CUdeviceptr address, CUstream stream);
CCGPU_CU cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* size, CUdeviceptr address);
CCGPU_CU cuMemAllocHost_v2(void** pointer, size_t bytes);
CCGPU_CU cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags);
CCGPU_CU cuMemFreeHost(void* pointer);
CCGPU_CU cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned flags);
CCGPU_CU cuMemHostUnregister(void* pointer);
CCGPU_CU cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned flags);
CCGPU_CU cuMemHostGetFlags(unsigned* flags, void* pointer);
CCGPU_CU cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes);
CCGPU_CU cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream);
CCGPU_CU cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes);
CCGPU_CU cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes);
CCGPU_CU cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes);
CCGPU_CU cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream);
CCGPU_CU cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream);
CCGPU_CU cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream);
CCGPU_CU cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count);
CCGPU_CU cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count);
CCGPU_CU cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count);
CCGPU_CU cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream);
CCGPU_CU cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream);
CCGPU_CU cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream);
CCGPU_CU cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr address);
CCGPU_CU cuIpcGetMemHandle(CUipcMemHandle* handle, CUdeviceptr address);
CCGPU_CU cuIpcOpenMemHandle_v2(CUdeviceptr* address, CUipcMemHandle handle, unsigned flags);
CCGPU_CU cuIpcCloseMemHandle(CUdeviceptr address);

CCGPU_CU cuStreamCreate(CUstream* stream, unsigned flags);
CCGPU_CU cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority);
CCGPU_CU cuStreamDestroy_v2(CUstream stream);
CCGPU_CU cuStreamSynchronize(CUstream stream);
CCGPU_CU cuStreamQuery(CUstream stream);
CCGPU_CU cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags);
CCGPU_CU cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* data, unsigned flags);
CCGPU_CU cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data);
CCGPU_CU cuStreamGetFlags(CUstream stream, unsigned* flags);
CCGPU_CU cuStreamGetPriority(CUstream stream, int* priority);
CCGPU_CU cuStreamGetCtx(CUstream stream, CUcontext* context);
CCGPU_CU cuEventCreate(CUevent* event, unsigned flags);
CCGPU_CU cuEventDestroy_v2(CUevent event);
CCGPU_CU cuEventRecord(CUevent event, CUstream stream);
CCGPU_CU cuEventQuery(CUevent event);
CCGPU_CU cuEventSynchronize(CUevent event);
CCGPU_CU cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end);

CCGPU_CU cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void** params,
                        void** extra);
CCGPU_CU cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                   CUstream stream, void** params);
CCGPU_CU cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block_size, size_t shared);
CCGPU_CU cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int block_size,
                                                              size_t shared, unsigned flags);
CCGPU_CU cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function, CUoccupancyB2DSize to_shared,
                                          size_t shared, int limit);
CCGPU_CU cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction function,
                                                   CUoccupancyB2DSize to_shared, size_t shared, int limit,
                                                   unsigned flags);
CCGPU_CU cuProfilerStart(void);
CCGPU_CU cuProfilerStop(void);

#undef CCGPU_CU
#ifdef __cplusplus
}
#endif
#endif
