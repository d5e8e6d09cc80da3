// Whole files in and out. Every error names the path and what errno says.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu {

// Fails with "file.too-large" past `limit` instead of filling memory.
Result<std::string> ReadFile(const std::string& path, size_t limit = 64u << 20);
// Readers see the old content or the new, never a part: written beside, synced, renamed over.
Status WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode = 0644);
// Makes the folder and its parents; fine if it is there.
Status MakeDirs(const std::string& path, mode_t mode = 0755);
bool Exists(const std::string& path);
// An error for a failed system call: "<what> <path>: <errno in words>".
Error ErrnoError(Reason code, std::string_view what, const std::string& path);

}  // namespace ccgpu
