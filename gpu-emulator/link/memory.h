// Maps the link's memory and waits on words in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "gpu-emulator/link/layout.h"

namespace ccgpu::link {

// One mapping of one link. Movable, closes itself. Every word in it may change at any time, by anyone.
class LinkMemory {
 public:
  // A new link (sparse memfd, zeros). With a path: a symbolic link there to the memfd as the host's root sees it in
  // /proc.
  static Result<LinkMemory> Create(const std::string& path);
  // Someone else's. The size is checked, so that a short file cannot crash its reader later (the device seals it
  // against shrinking).
  static Result<LinkMemory> Map(Fd fd);

  LinkMemory() = default;
  ~LinkMemory();
  LinkMemory(LinkMemory&& other) noexcept;
  LinkMemory& operator=(LinkMemory&& other) noexcept;
  LinkMemory(const LinkMemory&) = delete;

  int fd() const { return fd_.get(); }
  uint8_t* at(size_t offset) const { return base_ + offset; }
  Registers* registers() const { return reinterpret_cast<Registers*>(base_ + kRegistersOffset); }
  Mailbox* mailbox() const { return reinterpret_cast<Mailbox*>(base_ + kMailboxOffset); }
  ChannelControl* control(uint32_t channel) const {
    return reinterpret_cast<ChannelControl*>(base_ + ControlOffset(channel));
  }
  // Gives a channel's pages back; they read as zeros.
  void Discard(uint32_t channel) const;

 private:
  Fd fd_;
  uint8_t* base_ = nullptr;
};

// Words in shared memory.
inline uint32_t Load(const uint32_t& word) {
  return std::atomic_ref<uint32_t>(const_cast<uint32_t&>(word)).load(std::memory_order_acquire);
}
inline void Store(uint32_t& word, uint32_t value) {
  std::atomic_ref<uint32_t>(word).store(value, std::memory_order_release);
}
inline uint32_t Swap(uint32_t& word, uint32_t value) { return std::atomic_ref<uint32_t>(word).exchange(value); }
inline bool CompareSwap(uint32_t& word, uint32_t expected, uint32_t value) {
  return std::atomic_ref<uint32_t>(word).compare_exchange_strong(expected, value);
}
inline void Increment(uint32_t& word) { std::atomic_ref<uint32_t>(word).fetch_add(1); }
// Sleeps while *word == seen, at most `timeout_ms`. May wake for no reason.
void FutexWait(uint32_t& word, uint32_t seen, int timeout_ms);
void FutexWake(uint32_t& word);

}  // namespace ccgpu::link
