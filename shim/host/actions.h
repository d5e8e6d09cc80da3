// The three things a shim program is asked to do.
#pragma once

#include <string>

#include "base/result.h"
#include "shim/host/flags.h"

namespace ccgpu::shim {

// Finds or starts the shim of the pod that the bundle in the working folder belongs to. Gives what containerd reads:
// the plain address, understood by every version from 1.6 on. Leaves nothing behind when it fails.
Result<std::string> StartAction(const Flags& flags);

// Cleans up for a shim that is dead, from files only; idempotent, seconds at most. Gives a serialized DeleteResponse.
Result<std::string> DeleteAction(const Flags& flags);

// The daemon: serves the task service on descriptor 3 until containerd shuts it down. Gives the exit code.
int ServeAction(const Flags& flags);

// The answer to `-info`.
std::string InfoAction(const std::string& version);

// "/run/containerd/s/<hex>" for containerd's address, namespace and group.
std::string SocketPath(const std::string& containerd_address, const std::string& ns, const std::string& group);

inline constexpr int kListenerFd = 3;

}  // namespace ccgpu::shim
