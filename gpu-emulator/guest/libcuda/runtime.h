// The process's view of CUDA: devices, contexts, streams, events, modules, allocations. Handles that programs hold are
// pointers to these objects; each is looked up in a table before use, so that a stale one is an error and not a crash.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gpu-emulator/guest/libcuda/channel.h"
#include "gpu-emulator/guest/libcuda/cuda.h"

namespace ccgpu::cuda {

struct Device;

// Host memory that the device sees as a copy of its own: managed, mapped or registered. Copied in before a launch, back
// at the next synchronisation after it.
struct Mirror {
  uint8_t* host = nullptr;
  CUdeviceptr device = 0;
  size_t size = 0;
  unsigned flags = 0;
  bool owned = false;    // cuMemHostAlloc: the host memory is ours to unmap
  bool managed = false;  // host address == device address
};

struct Allocation {
  size_t size = 0;
  CUctx_st* context = nullptr;
};

}  // namespace ccgpu::cuda

// The opaque types of cuda.h.
struct CUstream_st {
  CUctx_st* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  std::atomic<ccgpu::cuda::Ticket> last = 0;
  std::atomic<int> callbacks = 0;  // not run yet: later work of the stream waits for them
};
struct CUevent_st {
  CUctx_st* context = nullptr;
  unsigned flags = 0;
  struct Point {
    ccgpu::cuda::Ticket ticket = 0;
    std::atomic<uint64_t> device_ns = 0;
  };
  std::shared_ptr<Point> point;  // null: never recorded
};
struct CUfunc_st {
  CUmod_st* module = nullptr;
  std::string name;
  uint32_t params_size = 0, static_shared = 0, local_bytes = 0, max_threads = 0;
  std::vector<std::pair<uint32_t, uint32_t>> params;  // offset, size
};
struct CUmod_st {
  CUctx_st* context = nullptr;
  uint32_t id = 0;
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
  std::vector<CUdeviceptr> globals;  // that were asked for: known as allocations while the module is loaded
};
struct CUctx_st {
  ccgpu::cuda::Device* device = nullptr;
  std::shared_ptr<ccgpu::cuda::Channel> channel;
  unsigned flags = 0;
  bool primary = false;
  CUstream_st legacy;  // the default stream; the per-thread one too
};
struct CUlinkState_st {
  std::vector<std::string> texts;
  std::vector<CUjit_option> options;
  std::vector<void*> values;
  std::string image;
};

namespace ccgpu::cuda {

struct Device {
  uint32_t index = 0;
  socket::GpuInfo info;
  std::weak_ptr<Channel> channel;  // shared by the process's contexts on this device
  std::unique_ptr<CUctx_st> primary;
  unsigned primary_flags = 0;
  int primary_users = 0;
  std::map<CUdeviceptr, Allocation> allocations;
  std::map<uint8_t*, Mirror> mirrors;  // by host address
  bool mirrors_dirty = false;          // a launch may have written them
};

// One per process, made at first use and never destroyed (programs call us from their own exit handlers).
class Runtime {
 public:
  static Runtime& Get();

  // Everything below expects `mutex` held unless it says otherwise.
  std::recursive_mutex mutex;
  bool initialized = false;
  std::shared_ptr<socket::Client> client;
  std::vector<std::unique_ptr<Device>> devices;
  std::set<CUctx_st*> contexts;
  std::set<CUmod_st*> modules;
  std::set<CUfunc_st*> functions;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUlinkState_st*> links;

  CUresult Init();
  CUresult FindDevice(CUdevice device, Device** out);
  CUresult Current(CUctx_st** out);  // of the calling thread; its channel's failure if it has one
  CUresult FindStream(CUstream handle, CUctx_st* current, CUstream_st** out);
  CUresult NewContext(Device& device, unsigned flags, bool primary, std::unique_ptr<CUctx_st>* out);
  void Forget(CUctx_st* context);  // its modules, streams, events, allocations
  // Device memory of the current process; null where there is none.
  Device* DeviceOf(CUdeviceptr address, CUdeviceptr* base, Allocation** allocation);
  // Copies of mirrors.
  CUresult PushMirrors(CUctx_st* context);
  CUresult PullMirrors(CUctx_st* context);

  // A stream's callbacks run in order on one thread.
  void AddCallback(CUstream_st* stream, std::shared_ptr<Channel> channel, std::function<void(CUresult)> function);

 private:
  void RunCallbacks();
  struct Callback {
    CUstream_st* stream;
    std::shared_ptr<Channel> channel;
    Ticket after;
    std::function<void(CUresult)> function;
  };
  std::mutex callbacks_mutex_;
  std::condition_variable callbacks_changed_;
  std::deque<Callback> callbacks_;
  bool callbacks_started_ = false;

 public:
  // Waits until the stream's callbacks ran. Without `mutex`.
  void WaitCallbacks(CUstream_st* stream);
};

// The context stack of the calling thread, its top at the back.
std::vector<CUctx_st*>& ContextStack();

// What most calls begin with: initialised, a current context that still works.
struct Scope {
  Scope();
  std::unique_lock<std::recursive_mutex> lock;
  Runtime& runtime;
  CUctx_st* context = nullptr;
  CUresult status;
};

// Finds the stream, waits for its callbacks, and remembers the ticket of new work on it.
struct StreamScope : Scope {
  explicit StreamScope(CUstream handle);
  CUstream_st* stream = nullptr;
  CUresult Submitted(Ticket ticket);  // 0: the channel's failure
};

CUresult SynchronizeStream(CUstream handle);
CUresult SynchronizeContext(CUctx_st* context, Ticket ticket, std::unique_lock<std::recursive_mutex>& lock);

}  // namespace ccgpu::cuda
