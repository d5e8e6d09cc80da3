#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"

namespace ccgpu {

Error ErrnoError(Reason code, std::string_view what, const std::string& path) {
  const int saved = errno;
  return Err(code, path, std::string(what) + ": " + std::string(strerror(saved)));
}

Result<std::string> ReadFile(const std::string& path, size_t limit) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("file.read", "cannot open", path);
  std::string out;
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode))
    out.reserve(std::min(limit, static_cast<size_t>(info.st_size)));  // a large file once, not twice while it grows
  char chunk[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("file.read", "cannot read", path);
    if (got == 0) return out;
    if (out.size() + static_cast<size_t>(got) > limit) {
      return Err("file.too-large", path, "is larger than the limit of " + std::to_string(limit) + " bytes");
    }
    out.append(chunk, static_cast<size_t>(got));
  }
}

Status WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode) {
  std::string beside = path + ".XXXXXX";
  Fd fd(::mkostemp(beside.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("file.write", "cannot create a file beside", path);
  auto fail = [&](std::string_view what) -> Status {
    Error error = ErrnoError("file.write", what, path);
    ::unlink(beside.c_str());
    return error;
  };
  while (!content.empty()) {
    const ssize_t put = ::write(fd.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail("cannot write");
    content.remove_prefix(static_cast<size_t>(put));
  }
  if (::fchmod(fd.get(), mode) != 0) return fail("cannot set the mode of");
  if (::fsync(fd.get()) != 0) return fail("cannot sync");
  if (::rename(beside.c_str(), path.c_str()) != 0) return fail("cannot rename over");
  return Ok();
}

Status MakeDirs(const std::string& path, mode_t mode) {
  std::string made;
  for (const auto& part : std::filesystem::path(path)) {
    made = (std::filesystem::path(made) / part).string();
    if (::mkdir(made.c_str(), mode) != 0 && errno != EEXIST)
      return ErrnoError("file.write", "cannot make the folder", made);
  }
  return Ok();
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace ccgpu
