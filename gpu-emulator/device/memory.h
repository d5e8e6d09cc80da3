// The GPU's memory: address space of the profile's size, pages only where something was written, zeros everywhere else.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "base/result.h"
#include "gpu-emulator/device/ptx/engine.h"

namespace ccgpu::device {

inline constexpr uint64_t kHeapBase = 1ull << 45;  // device addresses begin here: far from what a Linux process maps
inline constexpr uint64_t kGranule = 512;          // CUDA promises at least 256

// The whole memory and who has which part. Thread-safe.
class DeviceMemory {
 public:
  static Result<std::unique_ptr<DeviceMemory>> Create(uint64_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;

  Result<uint64_t> Allocate(uint64_t size, uint64_t align);  // offset; "cuda.out-of-memory"
  void Free(uint64_t offset, uint64_t size);                 // reads as zeros afterwards
  // Gives every page back. Nobody may be using the memory.
  void ScrubAll();
  uint64_t used() const;
  uint64_t total() const { return bytes_; }
  uint8_t* base() const { return base_; }

 private:
  DeviceMemory(uint8_t* base, uint64_t bytes) : base_(base), bytes_(bytes), free_{{0, bytes}} {}
  void Zero(uint64_t offset, uint64_t size);

  uint8_t* base_;
  uint64_t bytes_;
  mutable std::mutex mutex_;
  std::map<uint64_t, uint64_t> free_;  // offset -> size, never touching neighbours
  uint64_t used_ = 0;
};

// One channel's address space: it reaches its own allocations and nothing else. For the channel's thread only.
class ContextMemory final : public ptx::Memory {
 public:
  explicit ContextMemory(DeviceMemory& memory) : memory_(memory) {}
  ~ContextMemory() override { FreeAll(); }

  uint8_t* Translate(uint64_t address, uint64_t size, bool write) override;
  Result<uint64_t> Allocate(uint64_t size, uint64_t align) override;  // address
  void Free(uint64_t address) override;
  bool Owns(uint64_t address) const { return sizes_.contains(address); }
  void FreeAll();
  DeviceMemory& device() { return memory_; }

 private:
  DeviceMemory& memory_;
  std::map<uint64_t, uint64_t> sizes_;          // address -> size as asked for
  uint64_t cached_begin_ = 0, cached_end_ = 0;  // the allocation of the last hit
};

}  // namespace ccgpu::device
