// Sealed copies of guest image files. What is measured is the copy that runs: after sealing nobody, the emulator
// included, can change a byte of it.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "trust/evidence/launch_digest.h"

namespace ccgpu::emulator {

// An executable memfd with all seals, opened read-only, and its measurement. Immutable, any thread.
struct SealedFile {
  Fd fd;
  evidence::MeasuredFile measured;
};

// Keeps the copies of the last files, so that a hundred pods share one copy of guestd (memory) and are started without
// digesting it a hundred times (time). The key (device, inode, size, times) only decides whether a copy is used again;
// the measurement is always that of the copy, so a host that forges times gets the old code *with the old measurement*.
class ImageStore {
 public:
  static constexpr size_t kMaxFileSize = 256u << 20;
  static constexpr size_t kMaxKept = 16;

  // `file` stays the caller's; it must be a regular file or a memfd. "platform.bad-image" otherwise.
  Result<std::shared_ptr<const SealedFile>> Seal(const std::string& name, int file);

 private:
  struct Entry {
    std::string name;
    struct stat key {};
    std::shared_ptr<const SealedFile> file;
  };
  std::mutex mutex_;
  std::vector<Entry> entries_;  // most recently used last
};

}  // namespace ccgpu::emulator
