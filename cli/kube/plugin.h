// The command line of kubectl-ccgpu: `kubectl ccgpu ...`.
#pragma once

#include <iosfwd>

#include "base/clock.h"
#include "base/crypto/digest.h"

namespace ccgpu::cli {

// As Main of cli/commands.h.
int PluginMain(int argc, const char* const* argv, const char* version, std::ostream& out, std::ostream& err,
               const Clock& clock, crypto::Random& random);

}  // namespace ccgpu::cli
