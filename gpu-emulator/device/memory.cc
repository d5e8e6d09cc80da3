#include "gpu-emulator/device/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"

namespace ccgpu::device {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

}  // namespace

Result<std::unique_ptr<DeviceMemory>> DeviceMemory::Create(uint64_t bytes) {
  if (bytes < kPage || bytes > (1ull << 44)) return Err("gpu.bad-config", "memory", "must be between 4 KiB and 16 TiB");
  bytes = RoundUp(bytes, kPage);
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return ErrnoError("gpu.memory", "cannot reserve", "device memory");
  ::madvise(base, bytes, MADV_DONTDUMP);
  return std::unique_ptr<DeviceMemory>(new DeviceMemory(static_cast<uint8_t*>(base), bytes));
}

DeviceMemory::~DeviceMemory() { ::munmap(base_, bytes_); }

Result<uint64_t> DeviceMemory::Allocate(uint64_t size, uint64_t align) {
  if (size == 0 || size > bytes_)
    return Err("cuda.out-of-memory", "allocation", std::to_string(size) + " bytes do not fit");
  size = RoundUp(size, kGranule);
  align = std::max(align, kGranule);
  if ((align & (align - 1)) != 0 || align > (1ull << 30))
    return Err("cuda.out-of-memory", "allocation", "has a bad alignment");
  const std::scoped_lock lock(mutex_);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [begin, length] = *it;
    const uint64_t at = RoundUp(begin, align);
    if (at - begin > length || length - (at - begin) < size) continue;
    free_.erase(it);
    if (at > begin) free_[begin] = at - begin;
    if (begin + length > at + size) free_[at + size] = begin + length - at - size;
    used_ += size;
    return at;
  }
  return Err("cuda.out-of-memory", "allocation", std::to_string(size) + " bytes do not fit");
}

void DeviceMemory::Free(uint64_t offset, uint64_t size) {
  size = RoundUp(size, kGranule);
  Zero(offset, size);
  const std::scoped_lock lock(mutex_);
  used_ -= size;
  auto [it, inserted] = free_.emplace(offset, size);
  if (auto next = std::next(it); next != free_.end() && offset + size == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    auto before = std::prev(it);
    if (before->first + before->second == it->first) {
      before->second += it->second;
      free_.erase(it);
    }
  }
}

void DeviceMemory::Zero(uint64_t offset, uint64_t size) {
  const uint64_t end = offset + size;
  const uint64_t inner = std::min(RoundUp(offset, kPage), end), inner_end = std::max(end / kPage * kPage, inner);
  std::memset(base_ + offset, 0, inner - offset);
  std::memset(base_ + inner_end, 0, end - inner_end);
  // Private anonymous pages that are given back read as zeros.
  if (inner_end > inner && ::madvise(base_ + inner, inner_end - inner, MADV_DONTNEED) != 0) {
    std::memset(base_ + inner, 0, inner_end - inner);
  }
}

void DeviceMemory::ScrubAll() {
  Zero(0, bytes_);
  const std::scoped_lock lock(mutex_);
  free_ = {{0, bytes_}};
  used_ = 0;
}

uint64_t DeviceMemory::used() const {
  const std::scoped_lock lock(mutex_);
  return used_;
}

uint8_t* ContextMemory::Translate(uint64_t address, uint64_t size, bool) {
  if (address < cached_begin_ || address >= cached_end_) {
    auto it = sizes_.upper_bound(address);
    if (it == sizes_.begin()) return nullptr;
    --it;
    if (address - it->first >= it->second) return nullptr;
    cached_begin_ = it->first;
    cached_end_ = it->first + it->second;
  }
  if (size > cached_end_ - address) return nullptr;
  return memory_.base() + (address - kHeapBase);
}

Result<uint64_t> ContextMemory::Allocate(uint64_t size, uint64_t align) {
  ASSIGN_OR_RETURN(const uint64_t offset, memory_.Allocate(size, align));
  sizes_[kHeapBase + offset] = size;
  return kHeapBase + offset;
}

void ContextMemory::Free(uint64_t address) {
  const auto it = sizes_.find(address);
  if (it == sizes_.end()) return;
  memory_.Free(address - kHeapBase, it->second);
  sizes_.erase(it);
  cached_begin_ = cached_end_ = 0;
}

void ContextMemory::FreeAll() {
  while (!sizes_.empty()) Free(sizes_.begin()->first);
}

}  // namespace ccgpu::device
