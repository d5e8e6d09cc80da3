#include "gpu-emulator/guest/libcuda/runtime.h"

using namespace ccgpu::cuda;  // NOLINT

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  if (!stream || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  auto* made = new CUstream_st;
  made->context = scope.context;
  made->flags = flags;
  made->priority = priority;
  scope.runtime.streams.insert(made);
  *stream = made;
  return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream* stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

CUresult cuStreamDestroy_v2(CUstream stream) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (runtime.streams.erase(stream) == 0) return CUDA_ERROR_INVALID_HANDLE;
  runtime.WaitCallbacks(stream);
  delete stream;  // its work goes on: it lives in the channel's order, not in this object
  return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) { return SynchronizeStream(stream); }

CUresult cuStreamQuery(CUstream handle) {
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  CUstream_st* stream = nullptr;
  if (const CUresult found = scope.runtime.FindStream(handle, scope.context, &stream); found != CUDA_SUCCESS)
    return found;
  Channel& channel = *stream->context->channel;
  if (stream->callbacks > 0 || !channel.Finished(stream->last)) return CUDA_ERROR_NOT_READY;
  if (channel.failure() != CUDA_SUCCESS) return channel.failure();
  return scope.runtime.PullMirrors(stream->context);
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  const StreamScope scope(handle);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  // A channel works in order, so what is recorded on the same device has its turn before whatever follows.
  if (!scope.runtime.events.contains(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (event->point && event->context->channel != scope.context->channel)
    return event->context->channel->Wait(event->point->ticket);
  return CUDA_SUCCESS;
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* data, unsigned flags) {
  if (!callback || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const StreamScope scope(handle);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  scope.runtime.AddCallback(scope.stream, scope.context->channel,
                            [=](CUresult status) { callback(handle, status, data); });
  return CUDA_SUCCESS;
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  if (!function) return CUDA_ERROR_INVALID_VALUE;
  const StreamScope scope(handle);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  scope.runtime.AddCallback(scope.stream, scope.context->channel, [=](CUresult status) {
    if (status == CUDA_SUCCESS) function(data);
  });
  return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  const StreamScope scope(handle);
  if (scope.status == CUDA_SUCCESS) *flags = scope.stream->flags;
  return scope.status;
}

CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  if (!priority) return CUDA_ERROR_INVALID_VALUE;
  const StreamScope scope(handle);
  if (scope.status == CUDA_SUCCESS) *priority = 0;
  return scope.status;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext* context) {
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  const StreamScope scope(handle);
  if (scope.status == CUDA_SUCCESS) *context = scope.stream->context;
  return scope.status;
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  if (!event || flags > 7) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  auto* made = new CUevent_st;
  made->context = scope.context;
  made->flags = flags;
  scope.runtime.events.insert(made);
  *event = made;
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (runtime.events.erase(event) == 0) return CUDA_ERROR_INVALID_HANDLE;
  delete event;
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
  StreamScope scope(handle);
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.events.contains(event)) return CUDA_ERROR_INVALID_HANDLE;
  auto point = std::make_shared<CUevent_st::Point>();
  Channel::Command command;
  command.done = [point](const Completion& completion) { point->device_ns = completion.device_ns; };
  point->ticket = scope.context->channel->Submit(std::move(command));
  event->point = point;
  event->context = scope.context;
  return scope.Submitted(point->ticket);
}

CUresult cuEventQuery(CUevent event) {
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.events.contains(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (!event->point) return CUDA_SUCCESS;
  Channel& channel = *event->context->channel;
  if (!channel.Finished(event->point->ticket)) return CUDA_ERROR_NOT_READY;
  if (channel.failure() != CUDA_SUCCESS) return channel.failure();
  return scope.runtime.PullMirrors(event->context);
}

CUresult cuEventSynchronize(CUevent event) {
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.events.contains(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (!event->point) return CUDA_SUCCESS;
  return SynchronizeContext(event->context, event->point->ticket, scope.lock);
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  if (!milliseconds) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.events.contains(start) || !scope.runtime.events.contains(end)) return CUDA_ERROR_INVALID_HANDLE;
  if (!start->point || !end->point || ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING) != 0)
    return CUDA_ERROR_INVALID_HANDLE;
  for (const CUevent event : {start, end}) {
    if (!event->context->channel->Finished(event->point->ticket)) return CUDA_ERROR_NOT_READY;
  }
  const auto from = static_cast<double>(start->point->device_ns), to = static_cast<double>(end->point->device_ns);
  *milliseconds = static_cast<float>((to - from) / 1e6);
  return CUDA_SUCCESS;
}
