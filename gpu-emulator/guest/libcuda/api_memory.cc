#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "gpu-emulator/guest/libcuda/runtime.h"

using namespace ccgpu::cuda;  // NOLINT: this file is one of the API's, all of it stands on these types
using ccgpu::Bytes;
using ccgpu::ByteView;
using ccgpu::Reader;
using ccgpu::Writer;

namespace {

Bytes Words(std::initializer_list<uint64_t> words) {
  Writer out;
  for (const uint64_t word : words) out.U64(word);
  return std::move(out).Finish();
}

// Is [address, address + size) inside one allocation of this device?
bool Inside(CUctx_st* context, CUdeviceptr address, size_t size) {
  CUdeviceptr base = 0;
  Allocation* allocation = nullptr;
  const Device* device = Runtime::Get().DeviceOf(address, &base, &allocation);
  return device == context->device && size <= allocation->size - (address - base);
}

// The host address of a pointer that is one: not device memory, or memory that both sides have.
uint8_t* HostOf(CUdeviceptr address) { return reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(address)); }

Mirror* MirrorAt(Device& device, const void* pointer) {
  auto it = device.mirrors.upper_bound(static_cast<uint8_t*>(const_cast<void*>(pointer)));
  if (it == device.mirrors.begin()) return nullptr;
  --it;
  return static_cast<const uint8_t*>(pointer) < it->first + it->second.size ? &it->second : nullptr;
}

CUresult Allocate(Scope& scope, size_t bytes, CUdeviceptr* address) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const Completion answer =
      scope.context->channel->Call({.op = ccgpu::link::Command::kMemAlloc, .arguments = Words({bytes})});
  if (answer.status != CUDA_SUCCESS) return answer.status;
  Reader in(answer.payload);
  *address = in.U64();
  scope.context->device->allocations[*address] = {bytes, scope.context};
  return CUDA_SUCCESS;
}

CUresult Deallocate(Scope& scope, CUdeviceptr address) {
  CUdeviceptr base = 0;
  Device* device = scope.runtime.DeviceOf(address, &base, nullptr);
  if (!device || base != address) return CUDA_ERROR_INVALID_VALUE;
  device->allocations.erase(address);
  return scope.context->channel->Call({.op = ccgpu::link::Command::kMemFree, .arguments = Words({address})}).status;
}

enum class Way { kToDevice, kToHost, kOnDevice };

// One copy, in order on the stream; `wait` for the calls that return when it is done.
CUresult Copy(Way way, uint64_t to, uint64_t from, size_t bytes, CUstream stream, bool wait) {
  StreamScope scope(stream);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (bytes == 0) return CUDA_SUCCESS;
  if (way != Way::kToHost && !Inside(scope.context, to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (way != Way::kToDevice && !Inside(scope.context, from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  // Host memory that the device mirrors: what kernels wrote comes first.
  if (scope.context->device->mirrors_dirty) {
    const CUresult pulled = scope.runtime.PullMirrors(scope.context);
    if (pulled != CUDA_SUCCESS) return pulled;
  }
  Channel::Command command;
  command.done = {};
  switch (way) {
    case Way::kToDevice:
      if (!HostOf(from)) return CUDA_ERROR_INVALID_VALUE;
      command.op = ccgpu::link::Command::kCopyIn;
      command.arguments = Words({to, bytes});
      command.data = ByteView(HostOf(from), bytes);
      break;
    case Way::kToHost:
      if (!HostOf(to)) return CUDA_ERROR_INVALID_VALUE;
      command.op = ccgpu::link::Command::kCopyOut;
      command.arguments = Words({from, bytes});
      command.out = HostOf(to);
      command.out_size = bytes;
      break;
    case Way::kOnDevice:
      command.op = ccgpu::link::Command::kCopyDevice;
      command.arguments = Words({to, from, bytes});
      break;
  }
  auto answer = std::make_shared<CUresult>(CUDA_SUCCESS);
  command.done = [answer](const Completion& completion) { *answer = completion.status; };
  const std::shared_ptr<Channel> channel = scope.context->channel;
  const Ticket ticket = channel->Submit(std::move(command));
  if (const CUresult submitted = scope.Submitted(ticket); submitted != CUDA_SUCCESS || !wait) return submitted;
  scope.lock.unlock();
  const CUresult waited = channel->Wait(ticket);
  return waited != CUDA_SUCCESS ? waited : *answer;
}

// Unified copies: which side a pointer is on is looked up. Managed memory counts as device memory here.
CUresult UnifiedCopy(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream, bool wait) {
  bool to_device, from_device;
  {
    Scope scope;
    if (scope.status != CUDA_SUCCESS) return scope.status;
    to_device = scope.runtime.DeviceOf(to, nullptr, nullptr) != nullptr;
    from_device = scope.runtime.DeviceOf(from, nullptr, nullptr) != nullptr;
  }
  if (to_device && from_device) return Copy(Way::kOnDevice, to, from, bytes, stream, wait);
  if (to_device) return Copy(Way::kToDevice, to, from, bytes, stream, wait);
  if (from_device) return Copy(Way::kToHost, to, from, bytes, stream, wait);
  std::memmove(HostOf(to), HostOf(from), bytes);
  return CUDA_SUCCESS;
}

CUresult Fill(CUdeviceptr to, uint32_t value, uint8_t width, size_t count, CUstream stream, bool wait) {
  StreamScope scope(stream);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (count == 0) return CUDA_SUCCESS;
  if (count > SIZE_MAX / width || !Inside(scope.context, to, count * width) || to % width != 0)
    return CUDA_ERROR_INVALID_VALUE;
  Writer arguments;
  arguments.U64(to).U64(count).U32(value).U8(width);
  const std::shared_ptr<Channel> channel = scope.context->channel;
  const Ticket ticket = channel->Submit({.op = ccgpu::link::Command::kMemset, .arguments = arguments.bytes()});
  if (const CUresult submitted = scope.Submitted(ticket); submitted != CUDA_SUCCESS || !wait) return submitted;
  scope.lock.unlock();
  return channel->Wait(ticket);
}

CUresult Mirrored(Scope& scope, uint8_t* host, size_t bytes, unsigned flags, bool owned) {
  CUdeviceptr device = 0;
  if (const CUresult allocated = Allocate(scope, bytes, &device); allocated != CUDA_SUCCESS) return allocated;
  scope.context->device->mirrors[host] = {
      .host = host, .device = device, .size = bytes, .flags = flags, .owned = owned, .managed = false};
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuMemGetInfo_v2(size_t* available, size_t* total) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  const Completion answer = scope.context->channel->Call({.op = ccgpu::link::Command::kMemInfo});
  if (answer.status != CUDA_SUCCESS) return answer.status;
  Reader in(answer.payload);
  const uint64_t free_bytes = in.U64(), all = in.U64();
  if (available) *available = free_bytes;
  if (total) *total = all;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  if (!address) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  return scope.status != CUDA_SUCCESS ? scope.status : Allocate(scope, bytes, address);
}
CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream) { return cuMemAlloc_v2(address, bytes); }

CUresult cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned) {
  if (!address) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  // The host's half lies at the same address; device addresses were chosen so that this works, page-wise.
  CUdeviceptr device = 0;
  if (const CUresult allocated = Allocate(scope, (bytes + 2 * 4096 - 1) / 4096 * 4096, &device);
      allocated != CUDA_SUCCESS)
    return allocated;
  const CUdeviceptr page = (device + 4095) / 4096 * 4096;
  const size_t size = (bytes + 4095) / 4096 * 4096;
  void* host =
      ::mmap(HostOf(page), size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (host != HostOf(page)) {
    if (host != MAP_FAILED) ::munmap(host, size);
    (void)Deallocate(scope, device);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  scope.context->device->mirrors[HostOf(page)] = {
      .host = HostOf(page), .device = page, .size = bytes, .flags = 0, .owned = false, .managed = true};
  *address = page;
  return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  if (address == 0) return CUDA_SUCCESS;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (Mirror* mirror = MirrorAt(*scope.context->device, HostOf(address));
      mirror && mirror->managed && mirror->device == address) {
    CUdeviceptr base = 0;
    scope.runtime.DeviceOf(address, &base, nullptr);
    ::munmap(mirror->host, (mirror->size + 4095) / 4096 * 4096);
    scope.context->device->mirrors.erase(mirror->host);
    return Deallocate(scope, base);
  }
  return Deallocate(scope, address);
}
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream) { return cuMemFree_v2(address); }

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* size, CUdeviceptr address) {
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  CUdeviceptr found = 0;
  Allocation* allocation = nullptr;
  if (!scope.runtime.DeviceOf(address, &found, &allocation)) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = found;
  if (size) *size = allocation->size;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  if (!pointer || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  void* host = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (host == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* begin = static_cast<uint8_t*>(host);
  if ((flags & CU_MEMHOSTALLOC_DEVICEMAP) == 0) {
    scope.context->device->mirrors[begin] = {
        .host = begin, .device = 0, .size = bytes, .flags = flags, .owned = true, .managed = false};
  } else if (const CUresult mirrored = Mirrored(scope, begin, bytes, flags, true); mirrored != CUDA_SUCCESS) {
    ::munmap(host, bytes);
    return mirrored;
  }
  *pointer = host;
  return CUDA_SUCCESS;
}
CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }

namespace {

CUresult DropMirror(Scope& scope, void* pointer, bool owned) {
  Mirror* mirror = MirrorAt(*scope.context->device, pointer);
  if (!mirror || mirror->host != pointer || mirror->owned != owned || mirror->managed) {
    return owned ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  }
  CUresult result = scope.runtime.PullMirrors(scope.context);
  if (mirror->device != 0) result = Deallocate(scope, mirror->device);
  if (owned) ::munmap(mirror->host, mirror->size);
  scope.context->device->mirrors.erase(static_cast<uint8_t*>(pointer));
  return result;
}

}  // namespace

CUresult cuMemFreeHost(void* pointer) {
  Scope scope;
  return scope.status != CUDA_SUCCESS ? scope.status : DropMirror(scope, pointer, true);
}

CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned flags) {
  if (!pointer || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (MirrorAt(*scope.context->device, pointer)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  return Mirrored(scope, static_cast<uint8_t*>(pointer), bytes, flags, false);
}

CUresult cuMemHostUnregister(void* pointer) {
  Scope scope;
  return scope.status != CUDA_SUCCESS ? scope.status : DropMirror(scope, pointer, false);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned flags) {
  if (!address || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  const Mirror* mirror = MirrorAt(*scope.context->device, pointer);
  if (!mirror || mirror->device == 0) return CUDA_ERROR_INVALID_VALUE;
  *address = mirror->device + static_cast<size_t>(static_cast<uint8_t*>(pointer) - mirror->host);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned* flags, void* pointer) {
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  const Mirror* mirror = MirrorAt(*scope.context->device, pointer);
  if (!mirror || !mirror->owned) return CUDA_ERROR_INVALID_VALUE;
  *flags = mirror->flags;
  return CUDA_SUCCESS;
}

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return UnifiedCopy(to, from, bytes, nullptr, true);
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return UnifiedCopy(to, from, bytes, stream, false);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return Copy(Way::kToDevice, to, reinterpret_cast<uintptr_t>(from), bytes, nullptr, true);
}
CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return Copy(Way::kToHost, reinterpret_cast<uintptr_t>(to), from, bytes, nullptr, true);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return Copy(Way::kOnDevice, to, from, bytes, nullptr, true);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return Copy(Way::kToDevice, to, reinterpret_cast<uintptr_t>(from), bytes, stream, false);
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Copy(Way::kToHost, reinterpret_cast<uintptr_t>(to), from, bytes, stream, false);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Copy(Way::kOnDevice, to, from, bytes, stream, false);
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return Fill(to, value, 1, count, nullptr, true);
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return Fill(to, value, 2, count, nullptr, true);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return Fill(to, value, 4, count, nullptr, true);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream s) {
  return Fill(to, value, 1, count, s, false);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream s) {
  return Fill(to, value, 2, count, s, false);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream s) {
  return Fill(to, value, 4, count, s, false);
}

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr address) {
  if (!data) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  CUdeviceptr base = 0;
  Allocation* allocation = nullptr;
  const Device* device = scope.runtime.DeviceOf(address, &base, &allocation);
  const Mirror* mirror = nullptr;
  for (const auto& candidate : scope.runtime.devices) {
    if (!mirror) mirror = MirrorAt(*candidate, HostOf(address));
  }
  if (!device && !mirror) return CUDA_ERROR_INVALID_VALUE;
  const auto put = [&](auto value) {
    std::memcpy(data, &value, sizeof value);
    return CUDA_SUCCESS;
  };
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: return put(allocation ? allocation->context : scope.context);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return put(static_cast<int>(device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST));
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      if (device) return put(address);
      if (mirror->device == 0) return CUDA_ERROR_INVALID_VALUE;
      return put(mirror->device + static_cast<CUdeviceptr>(HostOf(address) - mirror->host));
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: return mirror ? put(HostOf(address)) : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: return put(0);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: return put(static_cast<unsigned long long>(base));
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: return put(mirror && mirror->managed ? 1 : 0);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return put(device ? static_cast<int>(device->index) : static_cast<int>(scope.context->device->index));
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: return put(device ? base : reinterpret_cast<CUdeviceptr>(mirror->host));
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: return put(device ? allocation->size : mirror->size);
    case CU_POINTER_ATTRIBUTE_MAPPED: return put(1);
  }
  return CUDA_ERROR_INVALID_VALUE;
}

// Memory of another process would have to cross the border between two channels' address spaces; not offered.
CUresult cuIpcGetMemHandle(CUipcMemHandle*, CUdeviceptr) { return CUDA_ERROR_NOT_SUPPORTED; }
CUresult cuIpcOpenMemHandle_v2(CUdeviceptr*, CUipcMemHandle, unsigned) { return CUDA_ERROR_NOT_SUPPORTED; }
CUresult cuIpcCloseMemHandle(CUdeviceptr) { return CUDA_ERROR_NOT_SUPPORTED; }
