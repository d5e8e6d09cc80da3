// What changed between two pieces of evidence, in words.
#pragma once

#include <string>
#include <vector>

#include "cli/evidence/format.h"

namespace ccgpu::cli {

struct Change {
  enum class Weight { kExpected, kNotable };  // a new nonce is expected, another driver is notable
  std::string path;                           // in what `show --json` prints: "gpus/0/measurements/12"
  std::string subject;                        // "GPU 0: measurement 12 (CC configuration)"
  std::string before, after;                  // empty: was not there, is gone
  Weight weight = Weight::kNotable;
  std::string Sentence() const;
};

// Both as ShowX gives them. In document order of `before`, new members last.
std::vector<Change> Diff(const OrderedJson& before, const OrderedJson& after);
// The words for one path; the path itself where there are no better ones.
std::string WordsFor(const std::string& path);

}  // namespace ccgpu::cli
