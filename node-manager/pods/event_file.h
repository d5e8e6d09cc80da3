// One sandbox's events.jsonl, read from where we stopped. What a sandbox writes is untrusted: bounded, tolerant.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace ccgpu::nodemanager {

struct PodEvent {
  std::string time, component, code, message, subject;
};
// nullopt: no event. Fields are cut to what an Event can carry; a code that is none of ours' form is refused.
std::optional<PodEvent> ParsePodEvent(std::string_view line);

struct PodRef {
  std::string name, ns, uid;  // uid may be empty
};
// pod.json; nullopt while it is not whole or when it is no pod's.
std::optional<PodRef> ParsePodRef(const std::string& text);

struct FilePosition {
  uint64_t inode = 0, offset = 0;
};

// Gives each whole line after `position` to `on_line` and moves `position` behind it when that says true; false stops.
// Lines over 64 KiB are skipped. A file that was made anew or cut is read from its beginning. False: stopped.
bool ReadLines(const std::string& file, FilePosition& position, size_t most_lines,
               const std::function<bool(std::string_view)>& on_line);

}  // namespace ccgpu::nodemanager
