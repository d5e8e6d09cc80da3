#include "node/pods/line_file.h"

#include <fcntl.h>

#include "base/fd.h"

namespace ccgpu::node {

size_t LineFile::Read(const std::function<void(std::string_view)>& on_line, size_t limit) {
  constexpr size_t kLongest = 1 << 20;
  Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return 0;
  size_t lines = 0, taken = 0;
  char buffer[64 << 10];
  ssize_t got;
  while (taken < limit && (got = ::pread(fd.get(), buffer, sizeof buffer, static_cast<off_t>(offset_))) > 0) {
    offset_ += static_cast<uint64_t>(got);
    taken += static_cast<size_t>(got);
    std::string_view rest(buffer, static_cast<size_t>(got));
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      if (partial_.empty()) {
        on_line(rest.substr(0, end));
      } else {
        partial_.append(rest.substr(0, end));
        on_line(partial_);
        partial_.clear();
      }
      lines++;
    }
    if (partial_.size() < kLongest) partial_.append(rest);
  }
  return lines;
}

}  // namespace ccgpu::node
