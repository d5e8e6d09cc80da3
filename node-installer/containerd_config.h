// What an installation changes in containerd's configuration, as text in and text out.
//
// Our handler stands in a marked block at the end of config.toml, or in a file of its own where config.toml imports a
// folder and containerd merges what it imports (2.x; 1.x replaces whole plugin sections by those of imported files).
// Taking the block out again gives the very bytes that were there before.
//
// Errors, subject FILE or FILE:line:
//   installer.config-broken    not TOML, or our marks do not fit together
//   installer.config-version   a version key that we do not know or that this containerd cannot read; version 1, which
//                              containerd assumes when there is none
//   installer.foreign-handler  a handler of our name that we did not write
//   installer.config-conflict  what we add would not be TOML there, or change the meaning of something else
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node-installer/host_files.h"

namespace ccgpu::installer {

inline constexpr char kHandler[] = "ccgpu";
inline constexpr char kRuntimeType[] = "io.containerd.ccgpu.v2";
inline constexpr char kDropInName[] = "ccgpu.toml";

struct HandlerOptions {
  std::string shim_config = "/etc/ccgpu/shim.yaml";
};

// The handler's tables for a configuration of `version` 2 or later.
std::string HandlerToml(int version, const HandlerOptions& options);

struct SplitConfig {
  std::string without;         // the file as it was before us
  std::string block;           // ours, marks included; empty when there is none
  size_t at = 0;               // where in `without` the block stands, or would
  bool made_file = false;      // there was no file before us
  bool added_newline = false;  // `without` has no line end there; the block brought one
};
Result<SplitConfig> Split(std::string_view text, const std::string& file);

struct ConfigFacts {
  int version = 0;                   // 0: no version key
  bool empty = false;                // no keys at all
  bool has_handler = false;          // a handler of our name
  std::vector<std::string> imports;  // as they stand there
};
Result<ConfigFacts> Inspect(std::string_view text, const std::string& file);

struct ConfigPlan {
  FileText config;      // config.toml's new text; not there: stays as it is
  std::string drop_in;  // path of our own file; empty: none
  std::string drop_in_text;
};
// `file`: its absolute path. `containerd_major`: of the containerd that
// will read it.
Result<ConfigPlan> PlanInstall(const FileText& text, const std::string& file, int containerd_major,
                               const HandlerOptions& options);
// Where a drop-in of ours would be read from, by the imports of a configuration; empty when nowhere.
std::string DropInPath(const std::vector<std::string>& imports, const std::string& file);
// Whether a drop-in file is ours.
bool IsOurDropIn(std::string_view text);

}  // namespace ccgpu::installer
