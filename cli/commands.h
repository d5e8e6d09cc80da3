// The command line: words to calls. One function for main.cc and for tests.
#pragma once

#include <iosfwd>

#include "base/clock.h"
#include "base/crypto/digest.h"

namespace ccgpu::cli {

// Runs what argv says and returns the exit code (see ExitCode in context.h). `version` is what --version prints.
int Main(int argc, const char* const* argv, const char* version, std::ostream& out, std::ostream& err,
         const Clock& clock, crypto::Random& random);

}  // namespace ccgpu::cli
