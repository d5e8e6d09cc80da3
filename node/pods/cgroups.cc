#include "node/pods/cgroups.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

namespace ccgpu::node {
namespace {

namespace fs = std::filesystem;

void RemoveTree(const fs::path& dir) {
  std::error_code error;
  std::vector<fs::path> children;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) children.push_back(entry.path());
  }
  for (const auto& child : children) RemoveTree(child);
  ::rmdir(dir.c_str());  // a cgroup with processes stays: EBUSY
}

}  // namespace

void RemoveCgroup(const std::string& path, const std::string& root) {
  if (path.size() < 2 || path[0] != '/' || path.find("..") != std::string::npos) return;
  std::error_code error;
  if (fs::is_directory(root + path, error)) RemoveTree(root + path);  // v2
  for (const auto& hierarchy : fs::directory_iterator(root, error)) {
    if (hierarchy.is_symlink(error)) continue;
    const std::string dir = hierarchy.path().string() + path;
    if (fs::is_directory(dir, error)) RemoveTree(dir);
  }
}

}  // namespace ccgpu::node
