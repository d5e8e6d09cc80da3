// The few calls of the CUDA driver API that the example needs, bound at run time as any program may: nothing here knows
// that the GPU may be an emulated one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace digits {

// One GPU with its primary context. A CUDA error ends the program: message with the error's name on standard error,
// exit 4.
class Cuda {
 public:
  Cuda();
  std::string DeviceName();
  void LoadModule(const std::string& ptx);

  uint64_t Allocate(size_t bytes);
  void Free(uint64_t address);
  void ToDevice(uint64_t to, const void* from, size_t bytes);
  void ToHost(void* to, uint64_t from, size_t bytes);
  // One thread per item, 128 a block. `arguments` as cuLaunchKernel takes them: pointers to the values.
  void Launch(const char* kernel, int items, void** arguments);
  void Synchronize();
  int launches() const { return launches_; }

 private:
  void Check(int error, const char* call);
  int launches_ = 0;
  void* module_ = nullptr;
};

}  // namespace digits
