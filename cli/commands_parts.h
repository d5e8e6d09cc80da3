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
void AddPolicies(CLI::App& app, Action& action);

// For a program that shares some of the words. The caller says what `generate` does.
struct GenerateOptions;
CLI::App* AddGenerate(CLI::App& policy, const std::shared_ptr<GenerateOptions>& options);
void AddPolicyReaders(CLI::App& policy, Action& action);  // digest, show, explain, lint
struct JudgeOptions;
// What evidence is judged by, besides the evidence itself.
void AddJudging(CLI::App& sub, const std::shared_ptr<JudgeOptions>& options);

}  // namespace ccgpu::cli
