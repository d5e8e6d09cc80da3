#include "base/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>

#include <thread>

#include "base/file.h"

namespace ccgpu {

Result<Fd> TryLockFile(const std::string& path, std::chrono::milliseconds wait, Reason code) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(code, "cannot open", path);
  const auto end = std::chrono::steady_clock::now() + wait;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= end) return Fd();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // flock has no time limit of its own
  }
  return fd;
}

}  // namespace ccgpu
