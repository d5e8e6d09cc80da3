// Reads a growing file of lines: each call gives the lines that have been completed since the last one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ccgpu::node {

class LineFile {
 public:
  explicit LineFile(std::string path) : path_(std::move(path)) {}
  // At most about `limit` bytes at once. Lines longer than 1 MiB are cut. The number of lines; 0 also when there is no
  // file yet.
  size_t Read(const std::function<void(std::string_view)>& on_line, size_t limit = 1 << 20);
  const std::string& path() const { return path_; }

 private:
  std::string path_, partial_;
  uint64_t offset_ = 0;
};

}  // namespace ccgpu::node
