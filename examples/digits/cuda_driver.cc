#include "examples/digits/cuda_driver.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace digits {
namespace {

struct Api {
  int (*init)(unsigned);
  int (*error_name)(int, const char**);
  int (*device_get)(int*, int);
  int (*device_name)(char*, int, int);
  int (*context_retain)(void**, int);
  int (*context_set)(void*);
  int (*module_load)(void**, const void*);
  int (*module_function)(void**, void*, const char*);
  int (*allocate)(uint64_t*, size_t);
  int (*free)(uint64_t);
  int (*to_device)(uint64_t, const void*, size_t);
  int (*to_host)(void*, uint64_t, size_t);
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  int (*synchronize)();
};
Api api;

template <class F>
void Bind(void* library, const char* name, F& to) {
  to = reinterpret_cast<F>(dlsym(library, name));
  if (to) return;
  std::fprintf(stderr, "digits: libcuda.so.1 has no %s\n", name);
  std::exit(4);
}

}  // namespace

void Cuda::Check(int error, const char* call) {
  if (error == 0) return;
  const char* name = nullptr;
  api.error_name(error, &name);
  std::fprintf(stderr, "digits: %s: %s (%d)\n", call, name ? name : "unknown error", error);
  std::exit(4);
}

Cuda::Cuda() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    std::fprintf(stderr, "digits: no CUDA driver here: %s\n", dlerror());
    std::exit(4);
  }
  Bind(library, "cuInit", api.init);
  Bind(library, "cuGetErrorName", api.error_name);
  Bind(library, "cuDeviceGet", api.device_get);
  Bind(library, "cuDeviceGetName", api.device_name);
  Bind(library, "cuDevicePrimaryCtxRetain", api.context_retain);
  Bind(library, "cuCtxSetCurrent", api.context_set);
  Bind(library, "cuModuleLoadData", api.module_load);
  Bind(library, "cuModuleGetFunction", api.module_function);
  Bind(library, "cuMemAlloc_v2", api.allocate);
  Bind(library, "cuMemFree_v2", api.free);
  Bind(library, "cuMemcpyHtoD_v2", api.to_device);
  Bind(library, "cuMemcpyDtoH_v2", api.to_host);
  Bind(library, "cuLaunchKernel", api.launch);
  Bind(library, "cuCtxSynchronize", api.synchronize);
  int device = 0;
  void* context = nullptr;
  Check(api.init(0), "cuInit");
  Check(api.device_get(&device, 0), "cuDeviceGet");
  Check(api.context_retain(&context, device), "cuDevicePrimaryCtxRetain");
  Check(api.context_set(context), "cuCtxSetCurrent");
}

std::string Cuda::DeviceName() {
  char name[128] = "";
  Check(api.device_name(name, sizeof name, 0), "cuDeviceGetName");
  return name;
}

void Cuda::LoadModule(const std::string& ptx) { Check(api.module_load(&module_, ptx.c_str()), "cuModuleLoadData"); }

uint64_t Cuda::Allocate(size_t bytes) {
  uint64_t address = 0;
  Check(api.allocate(&address, bytes), "cuMemAlloc");
  return address;
}
void Cuda::Free(uint64_t address) { Check(api.free(address), "cuMemFree"); }
void Cuda::ToDevice(uint64_t to, const void* from, size_t bytes) {
  Check(api.to_device(to, from, bytes), "cuMemcpyHtoD");
}
void Cuda::ToHost(void* to, uint64_t from, size_t bytes) { Check(api.to_host(to, from, bytes), "cuMemcpyDtoH"); }

void Cuda::Launch(const char* kernel, int items, void** arguments) {
  void* function = nullptr;
  Check(api.module_function(&function, module_, kernel), "cuModuleGetFunction");
  Check(
      api.launch(function, static_cast<unsigned>((items + 127) / 128), 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr),
      "cuLaunchKernel");
  ++launches_;
}
void Cuda::Synchronize() { Check(api.synchronize(), "cuCtxSynchronize"); }

}  // namespace digits
