// The shared real evidence, for tests. Header only, so that trust/verify's tests use it too.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "base/bytes.h"
#include "base/encoding.h"
#include "base/file.h"

namespace ccgpu::test {

inline std::string VectorsDir() {
  const char* set = std::getenv("CCGPU_VECTORS");
  return set ? set : std::string(CCGPU_SOURCE_DIR) + "/../shared/vectors";
}

// Skips the calling test, and says so where nobody can miss it.
#define SKIP_WITHOUT_VECTORS()                                                                                     \
  if (!ccgpu::Exists(ccgpu::test::VectorsDir() + "/README.md")) {                                                  \
    std::cerr << "*** SKIPPED: no real evidence at " << ccgpu::test::VectorsDir() << " (set CCGPU_VECTORS) ***\n"; \
    GTEST_SKIP() << "no vectors";                                                                                  \
  }                                                                                                                \
  static_assert(true)

inline std::string VectorText(const std::string& name) { return ReadFile(VectorsDir() + "/" + name).value(); }
inline Bytes VectorBytes(const std::string& name) { return ToBytes(AsBytes(VectorText(name))); }
// Reports are kept as hexadecimal text, some with line ends.
inline Bytes VectorHex(const std::string& name) {
  std::string hex;
  for (char c : VectorText(name)) {
    if (!std::isspace(static_cast<unsigned char>(c))) hex += c;
  }
  return HexDecode(hex).value();
}

}  // namespace ccgpu::test
