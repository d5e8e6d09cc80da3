// What the makers of cases for other people's verifiers end with.
#pragma once

#include <cstdio>

#include "base/result.h"
#include "trust/verify/verdict.h"

namespace ccgpu::foreign {

// How cases.json says what our own verifier thinks: "accepted" or the first failure's reason code.
inline std::string OurWord(const verify::Verdict& verdict) {
  return verdict.accepted ? "accepted" : verdict.FirstFailure() ? verdict.FirstFailure()->reason.code : "refused";
}

// A program `name DIR`.
inline int MakerMain(const char* name, int argc, char** argv, Status (*make)(const std::string& dir)) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIR\n", name);
    return 2;
  }
  const Status status = make(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace ccgpu::foreign
