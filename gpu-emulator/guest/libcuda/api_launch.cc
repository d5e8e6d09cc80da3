#include <algorithm>
#include <cstring>

#include "gpu-emulator/guest/libcuda/runtime.h"
#include "gpu-emulator/link/rpc.h"

using namespace ccgpu::cuda;  // NOLINT
using ccgpu::Bytes;
using ccgpu::Writer;

namespace {

constexpr uint32_t kMaxThreads = 1024, kMaxShared = 227 * 1024, kThreadsPerSm = 2048, kSharedPerSm = 228 * 1024,
                   kBlocksPerSm = 32;

CUresult Parameters(const CUfunc_st& function, void** params, void** extra, Bytes* out) {
  out->assign(function.params_size, 0);
  if (params) {
    for (size_t i = 0; i < function.params.size(); ++i) {
      if (!params[i]) return CUDA_ERROR_INVALID_VALUE;
      std::memcpy(out->data() + function.params[i].first, params[i], function.params[i].second);
    }
    return CUDA_SUCCESS;
  }
  if (!extra) return function.params.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  const void* buffer = nullptr;
  size_t size = 0;
  for (size_t i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
    if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = extra[i + 1];
    } else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      size = *static_cast<size_t*>(extra[i + 1]);
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (!buffer || size < function.params_size) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(out->data(), buffer, function.params_size);
  return CUDA_SUCCESS;
}

// Blocks of this shape that fit on one multiprocessor: by threads, shared memory and number.
int BlocksPerSm(const CUfunc_st& function, uint32_t threads, size_t dynamic_shared) {
  const uint32_t rounded = (threads + 31) / 32 * 32;
  const size_t shared = function.static_shared + dynamic_shared;
  uint32_t blocks = std::min(kBlocksPerSm, kThreadsPerSm / rounded);
  if (shared > kMaxShared) return 0;
  if (shared > 0) blocks = std::min<uint32_t>(blocks, static_cast<uint32_t>(kSharedPerSm / (shared + 1024)));
  return static_cast<int>(blocks);
}

}  // namespace

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void** params,
                        void** extra) {
  StreamScope scope(stream);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.functions.contains(function)) return CUDA_ERROR_INVALID_HANDLE;
  const uint64_t threads = uint64_t{block_x} * block_y * block_z;
  if (grid_x == 0 || grid_y == 0 || grid_z == 0 || grid_x > 0x7fffffff || grid_y > 65535 || grid_z > 65535 ||
      block_x > 1024 || block_y > 1024 || block_z > 64 || threads == 0 || threads > kMaxThreads ||
      shared > kMaxShared || (params && extra)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (function->max_threads != 0 && threads > function->max_threads) return CUDA_ERROR_INVALID_VALUE;
  if (function->static_shared > kMaxShared - shared) return CUDA_ERROR_INVALID_VALUE;
  Bytes packed;
  if (const CUresult read = Parameters(*function, params, extra, &packed); read != CUDA_SUCCESS) return read;
  if (const CUresult pushed = scope.runtime.PushMirrors(scope.context); pushed != CUDA_SUCCESS) return pushed;

  Writer arguments;
  arguments.U32(function->module->id);
  ccgpu::link::PutText(arguments, function->name);
  for (const unsigned part : {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared}) arguments.U32(part);
  arguments.U32(packed.size()).Raw(packed);
  return scope.Submitted(scope.context->channel->Submit(
      {.op = ccgpu::link::Command::kLaunch, .arguments = arguments.bytes(), .sticky = true}));
}

// A grid whose blocks wait for each other needs them all resident; the engine runs one block after the other.
CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                   CUstream stream, void** params) {
  if (uint64_t{grid_x} * grid_y * grid_z != 1) return CUDA_ERROR_NOT_SUPPORTED;
  return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, params, nullptr);
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.functions.contains(function)) return CUDA_ERROR_INVALID_HANDLE;
  const auto& info = scope.context->device->info;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *value =
          static_cast<int>(function->max_threads == 0 ? kMaxThreads : std::min(function->max_threads, kMaxThreads));
      break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = static_cast<int>(function->static_shared); break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = static_cast<int>(function->local_bytes); break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = info.compute_major * 10 + info.compute_minor; break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      *value = static_cast<int>(kMaxShared - std::min(kMaxShared, function->static_shared));
      break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = -1; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.functions.contains(function)) return CUDA_ERROR_INVALID_HANDLE;
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
    return value >= 0 && static_cast<uint32_t>(value) <= kMaxShared ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  return attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  return scope.runtime.functions.contains(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block_size, size_t shared) {
  if (!blocks || block_size <= 0 || block_size > static_cast<int>(kMaxThreads)) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.functions.contains(function)) return CUDA_ERROR_INVALID_HANDLE;
  *blocks = BlocksPerSm(*function, static_cast<uint32_t>(block_size), shared);
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int block_size,
                                                              size_t shared, unsigned) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, block_size, shared);
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function, CUoccupancyB2DSize to_shared,
                                          size_t shared, int limit) {
  if (!grid || !block) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.functions.contains(function)) return CUDA_ERROR_INVALID_HANDLE;
  int most = static_cast<int>(function->max_threads == 0 ? kMaxThreads : std::min(function->max_threads, kMaxThreads));
  if (limit > 0) most = std::min(most, limit);
  int best_threads = 0, best_block = 0, best_blocks = 0;
  for (int size = std::max(most / 32 * 32, std::min(most, 32)); size > 0; size -= 32) {
    const int blocks = BlocksPerSm(*function, static_cast<uint32_t>(size), to_shared ? to_shared(size) : shared);
    if (blocks * size <= best_threads) continue;
    best_threads = blocks * size;
    best_block = size;
    best_blocks = blocks;
  }
  *block = best_block;
  *grid = best_blocks * scope.context->device->info.sm_count;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction function,
                                                   CUoccupancyB2DSize to_shared, size_t shared, int limit, unsigned) {
  return cuOccupancyMaxPotentialBlockSize(grid, block, function, to_shared, shared, limit);
}
