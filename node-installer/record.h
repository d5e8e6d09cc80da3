// What an installer did on a machine, kept there (/opt/ccgpu/installed.json) and written before each deed, so that
// whoever comes after a kill or a power loss can go on or take it back.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::installer {

struct Record {
  std::string version;  // of the installer
  std::map<std::string, std::string>
      files;                         // path -> SHA-256 in hex; while an installation runs, also what it replaces
  std::vector<std::string> folders;  // made by us, outermost first
  std::string config;                // containerd's configuration file
  std::string config_digest;         // SHA-256 of what it was before us; "absent" when there was none
  std::string drop_in;               // our own file that it imports; empty: none
  bool restart_due = false;          // the configuration was changed, and containerd perhaps not yet restarted since

  bool exists() const { return !config.empty(); }  // a record that was never written is empty
  bool operator==(const Record&) const = default;
};

// SHA-256 in hex, as the record has it.
std::string DigestOf(std::string_view content);
// Appends those items that are not in the list yet.
void AddUnique(std::vector<std::string>& to, const std::vector<std::string>& more);

inline constexpr char kAbsent[] = "absent";

std::string WriteRecord(const Record& record);
// "installer.record-broken", subject `file`: an unknown format is refused, since it may name things that we would
// leave.
Result<Record> ReadRecord(const std::string& text, const std::string& file);

}  // namespace ccgpu::installer
