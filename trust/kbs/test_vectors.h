// Where the shared test vectors lie; tests that need them skip loudly when they are absent.
#pragma once

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::kbs {

inline std::string VectorPath(const std::string& name) {
  const char* root = std::getenv("CCGPU_VECTORS");
  return (root ? std::string(root) : std::string(CCGPU_SOURCE_DIR) + "/../shared/vectors") + "/coco/" + name;
}

inline Json VectorJson(const std::string& name) {
  auto text = ReadFile(VectorPath(name));
  if (!text.ok()) return Json();
  return Json::parse(*text);
}

}  // namespace ccgpu::kbs

#define NEEDS_VECTOR(name)                              \
  if (!::ccgpu::Exists(::ccgpu::kbs::VectorPath(name))) \
  GTEST_SKIP() << "NO VECTORS: set CCGPU_VECTORS; missing " << name
