#include "gpu-emulator/guest/libcuda/runtime.h"

using ccgpu::cuda::ContextStack;
using ccgpu::cuda::Device;
using ccgpu::cuda::Runtime;
using ccgpu::cuda::Scope;

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice handle) {
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  if (!device->primary) {
    const CUresult made = runtime.NewContext(*device, device->primary_flags, true, &device->primary);
    if (made != CUDA_SUCCESS) return made;
  }
  ++device->primary_users;
  *context = device->primary.get();
  return CUDA_SUCCESS;
}

namespace {

CUresult DropPrimary(Runtime& runtime, Device& device) {
  device.primary_users = 0;
  if (!device.primary) return CUDA_SUCCESS;
  runtime.Forget(device.primary.get());
  device.primary.reset();
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice handle) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  if (device->primary_users == 0) return CUDA_ERROR_INVALID_CONTEXT;
  return --device->primary_users == 0 ? DropPrimary(runtime, *device) : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice handle) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  return DropPrimary(runtime, *device);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice handle, unsigned* flags, int* active) {
  if (!flags || !active) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  *flags = device->primary_flags;
  *active = device->primary ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice handle, unsigned flags) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  device->primary_flags = flags;
  if (device->primary) device->primary->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice handle) {
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  Device* device = nullptr;
  if (const CUresult found = runtime.FindDevice(handle, &device); found != CUDA_SUCCESS) return found;
  std::unique_ptr<CUctx_st> made;
  if (const CUresult result = runtime.NewContext(*device, flags, false, &made); result != CUDA_SUCCESS) return result;
  *context = made.release();
  ContextStack().push_back(*context);
  return CUDA_SUCCESS;
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (!runtime.contexts.contains(context) || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  runtime.Forget(context);
  auto& stack = ContextStack();
  if (!stack.empty() && stack.back() == context) stack.pop_back();
  delete context;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (!runtime.initialized) return CUDA_ERROR_NOT_INITIALIZED;
  *context = ContextStack().empty() ? nullptr : ContextStack().back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (!runtime.initialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (context && !runtime.contexts.contains(context)) return CUDA_ERROR_INVALID_CONTEXT;
  auto& stack = ContextStack();
  if (!stack.empty()) stack.pop_back();
  if (context) stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (!runtime.initialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (!runtime.contexts.contains(context)) return CUDA_ERROR_INVALID_CONTEXT;
  ContextStack().push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (!runtime.initialized) return CUDA_ERROR_NOT_INITIALIZED;
  auto& stack = ContextStack();
  if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = stack.back();
  stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (!scope.context) return scope.status;
  *device = static_cast<CUdevice>(scope.context->device->index);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned* flags) {
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (!scope.context) return scope.status;
  *flags = scope.context->flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned* version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (context && !runtime.contexts.contains(context)) return CUDA_ERROR_INVALID_CONTEXT;
  *version = 3020;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  return ccgpu::cuda::SynchronizeContext(scope.context, scope.context->channel->last(), scope.lock);
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  switch (limit) {
    case CU_LIMIT_STACK_SIZE: *value = 1024; return CUDA_SUCCESS;
    case CU_LIMIT_PRINTF_FIFO_SIZE: *value = 1 << 20; return CUDA_SUCCESS;
    case CU_LIMIT_MALLOC_HEAP_SIZE: *value = 8 << 20; return CUDA_SUCCESS;
  }
  return CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t) {
  size_t now = 0;
  return cuCtxGetLimit(&now, limit);  // limits are hints; the engine grows what it needs
}

CUresult cuCtxSetCacheConfig(CUfunc_cache) {
  const Scope scope;
  return scope.status;
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (least) *least = 0;
  if (greatest) *greatest = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  return scope.runtime.contexts.contains(peer) ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuProfilerStart(void) { return CUDA_SUCCESS; }
CUresult cuProfilerStop(void) { return CUDA_SUCCESS; }
