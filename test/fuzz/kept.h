// Runs what fuzzing found before, kept in test/fuzz/kept (corpus.py there), through a fuzz target's own entry: in every
// test run, and under sanitizers with `./run test --asan`. CcgpuTargets.cmake makes one such test of each fuzz target.
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "base/encoding.h"
#include "base/file.h"

namespace ccgpu::test {

// A target that breaks ends the program, as it does in the fuzzer.
inline void RunKeptInputs(const std::string& target, int (*entry)(const uint8_t*, size_t)) {
  const std::string path = std::string(CCGPU_SOURCE_DIR) + "/test/fuzz/kept/" + target + ".b64";
  if (!Exists(path)) GTEST_SKIP() << "nothing is kept for " << target;
  const auto text = ReadFile(path);
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  std::istringstream lines(*text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    SCOPED_TRACE(path + ":" + std::to_string(number));
    const auto input = Base64Decode(line);
    ASSERT_TRUE(input.ok()) << input.error().ToString();
    EXPECT_EQ(entry(input->data(), input->size()), 0);
  }
  EXPECT_GT(number, 0u) << "an empty file";
}

}  // namespace ccgpu::test

// The entry is the target's LLVMFuzzerTestOneInput under a name of its own, since several stand in one program.
#define CCGPU_KEPT_TEST(target, stem)                                \
  extern "C" int CcgpuFuzz_##stem(const uint8_t* data, size_t size); \
  TEST(KeptInputs, stem) { ccgpu::test::RunKeptInputs(target, CcgpuFuzz_##stem); }
