// One program at a time on a folder: an advisory lock (flock) on a file in it, held for as long as the Fd lives.
#pragma once

#include <chrono>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu {

// Makes the file (mode 0600) if it is not there. `wait`: how long a holder is given to let go: a program that was
// killed keeps its locks until the last of its threads is gone, which is after its death can be seen. Empty: somebody
// else still holds it. The error (code `code`) is for a file that cannot be opened.
Result<Fd> TryLockFile(const std::string& path, std::chrono::milliseconds wait, Reason code);

// What a daemon gives its killed predecessor.
inline constexpr std::chrono::milliseconds kPredecessorsEnd{5000};

}  // namespace ccgpu
