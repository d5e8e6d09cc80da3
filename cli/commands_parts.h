// Parts of the command line's definition that have a file of their own. Private to cli/.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/crypto/digest.h"
#include "cli/context.h"

namespace ccgpu::cli {

// What the chosen subcommand does; set while parsing.
using Action = std::function<int(Context&)>;

// "90", "90s", "2m", "1h" in seconds.
CLI::AsNumberWithUnit Seconds();

void AddCollateral(CLI::App& app, Action& action);
void AddEvidence(CLI::App& app, Action& action, crypto::Random& random);

}  // namespace ccgpu::cli
