#include "gpu-emulator/guest/libcuda/runtime.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>

namespace ccgpu::cuda {

Runtime& Runtime::Get() {
  static Runtime* const runtime = [] {
    // libcrypto is ours alone: no configuration of the container's, and no exit handler that could run before a
    // program's last call.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
    return new Runtime;
  }();
  return *runtime;
}

// A pthread key and not thread_local: a library that is loaded late into a stranger's process should not ask the loader
// for TLS.
std::vector<CUctx_st*>& ContextStack() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    pthread_key_create(&made, [](void* stack) { delete static_cast<std::vector<CUctx_st*>*>(stack); });
    return made;
  }();
  void* stack = pthread_getspecific(key);
  if (!stack) {
    stack = new std::vector<CUctx_st*>;
    pthread_setspecific(key, stack);
  }
  return *static_cast<std::vector<CUctx_st*>*>(stack);
}

CUresult Runtime::Init() {
  if (initialized) return CUDA_SUCCESS;
  if (!client) {
    auto connected = socket::Client::Connect();
    if (!connected.ok()) return ToCuda(connected.error());
    client = std::move(*connected);
  }
  if (client->gpus() == 0) return CUDA_ERROR_NO_DEVICE;
  std::vector<std::unique_ptr<Device>> found;
  for (uint32_t i = 0; i < client->gpus(); ++i) {
    auto info = client->Info(i);
    if (!info.ok()) {
      const CUresult failed = ToCuda(info.error());
      if (!client->Alive()) client.reset();
      return failed;
    }
    if (info->lost) return CUDA_ERROR_DEVICE_UNAVAILABLE;
    if (!info->ready) return CUDA_ERROR_SYSTEM_NOT_READY;  // not attested and unlocked yet; a later cuInit may succeed
    auto device = std::make_unique<Device>();
    device->index = i;
    device->info = std::move(*info);
    found.push_back(std::move(device));
  }
  devices = std::move(found);
  initialized = true;
  return CUDA_SUCCESS;
}

CUresult Runtime::FindDevice(CUdevice device, Device** out) {
  if (!initialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (device < 0 || static_cast<size_t>(device) >= devices.size()) return CUDA_ERROR_INVALID_DEVICE;
  *out = devices[static_cast<size_t>(device)].get();
  return CUDA_SUCCESS;
}

CUresult Runtime::Current(CUctx_st** out) {
  if (!initialized) return CUDA_ERROR_NOT_INITIALIZED;
  auto& stack = ContextStack();
  if (stack.empty() || stack.back() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (!contexts.contains(stack.back())) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  *out = stack.back();
  return (*out)->channel->failure();
}

CUresult Runtime::FindStream(CUstream handle, CUctx_st* current, CUstream_st** out) {
  if (handle == nullptr || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
    *out = &current->legacy;
    return CUDA_SUCCESS;
  }
  if (!streams.contains(handle)) return CUDA_ERROR_INVALID_HANDLE;
  *out = handle;
  return CUDA_SUCCESS;
}

CUresult Runtime::NewContext(Device& device, unsigned flags, bool primary, std::unique_ptr<CUctx_st>* out) {
  std::shared_ptr<Channel> channel = device.channel.lock();
  if (!channel || channel->failure() != CUDA_SUCCESS) {
    auto opened = Channel::Open(client, device.index);
    if (!opened.ok()) {
      std::fprintf(stderr, "ccgpu: libcuda: %s\n", opened.error().ToString().c_str());
      return opened.error().code == "gpu.lost" ? CUDA_ERROR_DEVICE_UNAVAILABLE : ToCuda(opened.error());
    }
    channel = std::move(*opened);
    device.channel = channel;
    device.allocations.clear();
  }
  auto context = std::make_unique<CUctx_st>();
  context->device = &device;
  context->channel = std::move(channel);
  context->flags = flags;
  context->primary = primary;
  context->legacy.context = context.get();
  contexts.insert(context.get());
  *out = std::move(context);
  return CUDA_SUCCESS;
}

void Runtime::Forget(CUctx_st* context) {
  Device& device = *context->device;
  const bool alive = context->channel->failure() == CUDA_SUCCESS;
  if (alive) (void)context->channel->Wait(context->channel->last());
  std::erase_if(functions, [&](CUfunc_st* function) { return function->module->context == context; });
  std::erase_if(modules, [&](CUmod_st* module) {
    if (module->context != context) return false;
    for (const CUdeviceptr global : module->globals) device.allocations.erase(global);
    Writer arguments;
    arguments.U32(module->id);
    if (alive) context->channel->Call({.op = link::Command::kModuleUnload, .arguments = arguments.bytes()});
    delete module;
    return true;
  });
  std::erase_if(streams, [&](CUstream_st* stream) {
    if (stream->context != context) return false;
    WaitCallbacks(stream);
    delete stream;
    return true;
  });
  std::erase_if(events, [&](CUevent_st* event) {
    if (event->context != context) return false;
    delete event;
    return true;
  });
  std::erase_if(device.allocations, [&](const auto& entry) {
    if (entry.second.context != context) return false;
    Writer arguments;
    arguments.U64(entry.first);
    if (alive) context->channel->Call({.op = link::Command::kMemFree, .arguments = arguments.bytes()});
    std::erase_if(device.mirrors, [&](const auto& mirror) {
      if (mirror.second.device != entry.first) return false;
      if (mirror.second.owned || mirror.second.managed) ::munmap(mirror.second.host, mirror.second.size);
      return true;
    });
    return true;
  });
  contexts.erase(context);
}

Device* Runtime::DeviceOf(CUdeviceptr address, CUdeviceptr* base, Allocation** allocation) {
  for (auto& device : devices) {
    auto it = device->allocations.upper_bound(address);
    if (it == device->allocations.begin()) continue;
    --it;
    if (address - it->first >= it->second.size) continue;
    if (base) *base = it->first;
    if (allocation) *allocation = &it->second;
    return device.get();
  }
  return nullptr;
}

CUresult Runtime::PushMirrors(CUctx_st* context) {
  Device& device = *context->device;
  // What an earlier launch wrote must not be overwritten by what the host has not read back yet.
  if (device.mirrors_dirty) {
    if (const CUresult pulled = PullMirrors(context); pulled != CUDA_SUCCESS) return pulled;
  }
  for (const auto& [host, mirror] : device.mirrors) {
    if (mirror.device == 0) continue;  // pinned only
    Writer arguments;
    arguments.U64(mirror.device).U64(mirror.size);
    Channel::Command command{
        .op = link::Command::kCopyIn, .arguments = arguments.bytes(), .data = ByteView(host, mirror.size)};
    if (context->channel->Submit(std::move(command)) == 0) return context->channel->failure();
    device.mirrors_dirty = true;
  }
  return CUDA_SUCCESS;
}

CUresult Runtime::PullMirrors(CUctx_st* context) {
  Device& device = *context->device;
  if (!device.mirrors_dirty) return CUDA_SUCCESS;
  device.mirrors_dirty = false;
  Ticket last = 0;
  for (const auto& [host, mirror] : device.mirrors) {
    if (mirror.device == 0) continue;  // pinned only
    Writer arguments;
    arguments.U64(mirror.device).U64(mirror.size);
    Channel::Command command{
        .op = link::Command::kCopyOut, .arguments = arguments.bytes(), .out = host, .out_size = mirror.size};
    last = context->channel->Submit(std::move(command));
    if (last == 0) return context->channel->failure();
  }
  return context->channel->Wait(last);
}

void Runtime::AddCallback(CUstream_st* stream, std::shared_ptr<Channel> channel,
                          std::function<void(CUresult)> function) {
  const std::scoped_lock lock(callbacks_mutex_);
  ++stream->callbacks;
  callbacks_.push_back({stream, std::move(channel), stream->last, std::move(function)});
  if (!callbacks_started_) std::thread([this] { RunCallbacks(); }).detach();
  callbacks_started_ = true;
  callbacks_changed_.notify_all();
}

void Runtime::RunCallbacks() {
  for (;;) {
    std::unique_lock lock(callbacks_mutex_);
    callbacks_changed_.wait(lock, [this] { return !callbacks_.empty(); });
    Callback next = std::move(callbacks_.front());
    callbacks_.pop_front();
    lock.unlock();
    next.function(next.channel->Wait(next.after));
    next.channel.reset();
    lock.lock();
    --next.stream->callbacks;
    callbacks_changed_.notify_all();
  }
}

void Runtime::WaitCallbacks(CUstream_st* stream) {
  std::unique_lock lock(callbacks_mutex_);
  callbacks_changed_.wait(lock, [&] { return stream->callbacks == 0; });
}

Scope::Scope() : lock(Runtime::Get().mutex), runtime(Runtime::Get()) { status = runtime.Current(&context); }

StreamScope::StreamScope(CUstream handle) {
  if (status != CUDA_SUCCESS) return;
  status = runtime.FindStream(handle, context, &stream);
  if (status == CUDA_SUCCESS) context = stream->context;
  if (status != CUDA_SUCCESS || stream->callbacks == 0) return;
  lock.unlock();
  runtime.WaitCallbacks(stream);
  lock.lock();
}

CUresult StreamScope::Submitted(Ticket ticket) {
  if (ticket == 0) return context->channel->failure();
  stream->last = ticket;
  return CUDA_SUCCESS;
}

CUresult SynchronizeContext(CUctx_st* context, Ticket ticket, std::unique_lock<std::recursive_mutex>& lock) {
  const std::shared_ptr<Channel> channel = context->channel;
  lock.unlock();
  const CUresult waited = channel->Wait(ticket);
  lock.lock();
  if (waited != CUDA_SUCCESS) return waited;
  return Runtime::Get().contexts.contains(context) ? Runtime::Get().PullMirrors(context)
                                                   : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult SynchronizeStream(CUstream handle) {
  StreamScope scope(handle);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  return SynchronizeContext(scope.context, scope.stream->last, scope.lock);
}

}  // namespace ccgpu::cuda
