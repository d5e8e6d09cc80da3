#include "gpu-emulator/platform/image_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace ccgpu::emulator {
namespace {

bool SameVersion(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

Result<Fd> MakeMemfd(const std::string& name) {
  Fd fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
  if (!fd.valid() && errno == EINVAL)
    fd = Fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));  // before Linux 6.3
  if (!fd.valid()) return ErrnoError("platform.bad-image", "cannot make a memfd for", name);
  return fd;
}

// Copies at most kMaxFileSize + 1 bytes, whatever the file's size claims to be.
Result<size_t> CopyAll(int from, int to, const std::string& name) {
  size_t copied = 0;
  std::vector<uint8_t> buffer(1u << 20);
  while (copied <= ImageStore::kMaxFileSize) {
    ssize_t n = pread(from, buffer.data(), buffer.size(), static_cast<off_t>(copied));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("platform.bad-image", "cannot read", name);
    if (n == 0) return copied;
    for (ssize_t done = 0; done < n;) {
      ssize_t put = pwrite(to, buffer.data() + done, static_cast<size_t>(n - done), static_cast<off_t>(copied) + done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return ErrnoError("platform.bad-image", "cannot copy", name);
      done += put;
    }
    copied += static_cast<size_t>(n);
  }
  return Err("platform.bad-image", name, "the file is larger than 256 MiB");
}

Result<std::shared_ptr<const SealedFile>> MakeSealed(const std::string& name, int file) {
  ASSIGN_OR_RETURN(Fd memfd, MakeMemfd(name));
  ASSIGN_OR_RETURN(size_t size, CopyAll(file, memfd.get(), name));
  if (size == 0) return Err("platform.bad-image", name, "the file is empty");
  if (fchmod(memfd.get(), 0555) != 0) return ErrnoError("platform.bad-image", "cannot set the mode of", name);
  if (fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return ErrnoError("platform.bad-image", "cannot seal", name);
  }
  // Measured after sealing, through a mapping of the sealed pages.
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, memfd.get(), 0);
  if (mapped == MAP_FAILED) return ErrnoError("platform.bad-image", "cannot map", name);
  auto sealed = std::make_shared<SealedFile>();
  sealed->measured = evidence::MeasureFile(name, {static_cast<const uint8_t*>(mapped), size});
  munmap(mapped, size);
  const std::string path = "/proc/self/fd/" + std::to_string(memfd.get());
  sealed->fd = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!sealed->fd.valid()) return ErrnoError("platform.bad-image", "cannot reopen the sealed copy of", name);
  return std::shared_ptr<const SealedFile>(std::move(sealed));
}

}  // namespace

Result<std::shared_ptr<const SealedFile>> ImageStore::Seal(const std::string& name, int file) {
  struct stat key {};
  if (fstat(file, &key) != 0) return ErrnoError("platform.bad-image", "cannot look at", name);
  if (!S_ISREG(key.st_mode)) return Err("platform.bad-image", name, "an image file must be a regular file");
  // One copy at a time: pods that start together wait for the first one's copy instead of each making its own.
  std::lock_guard lock(mutex_);
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& entry) { return entry.name == name && SameVersion(entry.key, key); });
  if (found != entries_.end()) {
    std::rotate(found, found + 1, entries_.end());
    return entries_.back().file;
  }
  ASSIGN_OR_RETURN(auto sealed, MakeSealed(name, file));
  entries_.push_back({name, key, sealed});
  if (entries_.size() > kMaxKept) entries_.erase(entries_.begin());
  return sealed;
}

}  // namespace ccgpu::emulator
