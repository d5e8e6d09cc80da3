// Completion scripts made from the command line's own definition, so that they cannot lag behind it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace ccgpu::cli {

// `shell`: bash or zsh (through zsh's bashcompinit).
std::string CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace ccgpu::cli
