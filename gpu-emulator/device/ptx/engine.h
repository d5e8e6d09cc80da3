// What the device asks of whoever runs kernels. The interpreter is the first engine; a faster one takes its place
// behind this header. No threads of its own; one Module is used by one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ccgpu::ptx {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

struct ParamInfo {
  std::string name;
  uint32_t size, align, offset;
};

struct KernelInfo {
  std::string name;
  std::vector<ParamInfo> params;
  uint32_t params_size, static_shared, local_bytes, max_threads;
};

struct GlobalInfo {
  std::string name;
  uint64_t address, size;
  bool constant;
};

// Device memory as the engine may touch it: every access is checked; a bad one stops the launch with
// "cuda.illegal-address".
class Memory {
 public:
  virtual ~Memory() = default;
  virtual uint8_t* Translate(uint64_t address, uint64_t size, bool write) = 0;  // nullptr: not mapped
  virtual Result<uint64_t> Allocate(uint64_t size, uint64_t align) = 0;
  virtual void Free(uint64_t address) = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual const KernelInfo* Find(std::string_view kernel) const = 0;
  virtual const GlobalInfo* FindGlobal(std::string_view) const = 0;
  virtual std::vector<std::string> kernels() const = 0;
};

struct LaunchSpec {
  Dim3 grid, block;
  uint32_t dynamic_shared = 0;
  ByteView params;
  const std::atomic<bool>* cancel = nullptr;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Errors: "cuda.invalid-ptx" with subject "line:N" and text naming the instruction; an unknown directive, instruction
  // or type is an error at LOAD, never at run time.
  virtual Result<std::unique_ptr<Module>> Load(const std::vector<std::string>& ptx_texts /* linked together */,
                                               Memory&) = 0;
  virtual Status Launch(Module&, std::string_view kernel, const LaunchSpec&, Memory&) = 0;
};

std::unique_ptr<Engine> MakeInterpreter();

}  // namespace ccgpu::ptx
