#include "gpu-emulator/link/memory.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <utility>

#include "base/file.h"

namespace ccgpu::link {

Result<LinkMemory> LinkMemory::Create(const std::string& path) {
  Fd fd(::memfd_create("ccgpu-link", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoError("link.memory", "cannot create", "link memory");
  if (::fchmod(fd.get(), 0600) != 0 || ::ftruncate(fd.get(), kLinkBytes) != 0) {
    return ErrnoError("link.memory", "cannot size", "link memory");
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return ErrnoError("link.memory", "cannot seal", "link memory");
  }
  if (!path.empty()) {
    const std::string target = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
    ::unlink(path.c_str());
    if (::symlink(target.c_str(), path.c_str()) != 0) return ErrnoError("link.memory", "cannot name the link", path);
  }
  return Map(std::move(fd));
}

Result<LinkMemory> LinkMemory::Map(Fd fd) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoError("link.memory", "cannot stat", "link memory");
  if (static_cast<size_t>(info.st_size) != kLinkBytes) {
    return Err("link.memory", "link memory",
               "has " + std::to_string(info.st_size) + " bytes, expected " + std::to_string(kLinkBytes));
  }
  void* base = ::mmap(nullptr, kLinkBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) return ErrnoError("link.memory", "cannot map", "link memory");
  LinkMemory memory;
  memory.fd_ = std::move(fd);
  memory.base_ = static_cast<uint8_t*>(base);
  return memory;
}

LinkMemory::~LinkMemory() {
  if (base_) ::munmap(base_, kLinkBytes);
}
LinkMemory::LinkMemory(LinkMemory&& other) noexcept
    : fd_(std::move(other.fd_)), base_(std::exchange(other.base_, nullptr)) {}
LinkMemory& LinkMemory::operator=(LinkMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  return *this;
}

void LinkMemory::Discard(uint32_t channel) const {
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(RingOffset(channel, false)),
              static_cast<off_t>(2 * kRingBytes));
}

void FutexWait(uint32_t& word, uint32_t seen, int timeout_ms) {
  const timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}

void FutexWake(uint32_t& word) { ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace ccgpu::link
