// Device memory for tests of the engine: a flat arena with a bump allocator.
#pragma once

#include <cstring>

#include "gpu-emulator/device/ptx/engine.h"

namespace ccgpu::ptx {

class ArenaMemory final : public Memory {
 public:
  static constexpr uint64_t kBase = 0x100000;
  uint8_t* Translate(uint64_t address, uint64_t size, bool) override {
    if (address < kBase || address > kBase + used_ || size > kBase + used_ - address) return nullptr;
    return arena_.data() + (address - kBase);
  }
  Result<uint64_t> Allocate(uint64_t size, uint64_t align) override {
    used_ = (used_ + align - 1) / align * align;
    const uint64_t address = kBase + used_;
    used_ += size;
    if (used_ > arena_.size()) return Err("cuda.out-of-memory", "arena", "is full");
    return address;
  }
  void Free(uint64_t) override {}

  template <class T>
  uint64_t Put(const std::vector<T>& values) {
    const uint64_t address = *Allocate(values.size() * sizeof(T), 256);
    std::memcpy(Translate(address, values.size() * sizeof(T), true), values.data(), values.size() * sizeof(T));
    return address;
  }
  template <class T>
  std::vector<T> Get(uint64_t address, size_t count) {
    std::vector<T> out(count);
    std::memcpy(out.data(), Translate(address, count * sizeof(T), false), count * sizeof(T));
    return out;
  }

 private:
  std::vector<uint8_t> arena_ = std::vector<uint8_t>(16 << 20);
  uint64_t used_ = 0;
};

}  // namespace ccgpu::ptx
