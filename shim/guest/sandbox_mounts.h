// The file systems that a sandbox has of its own: /proc, a tmpfs on /run/ccgpu, configfs-tsm's files.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::shim {

// The report interface of configfs-tsm lies below this folder, as on real hardware.
inline constexpr char kTsmDir[] = "/sys/kernel/config/tsm";

// In guestd's own mount namespace; nothing of it reaches the host.
Status MountOwnFilesystems();
// An open /dev/fuse that is mounted on kTsmDir and waits for who serves it.
Result<Fd> MountTsm();
// The agent resolves names as the pod's containers do, not as the node: a copy of the resolv.conf that the sandbox's
// OCI spec mounts goes over /etc/resolv.conf in guestd's own mount namespace. Whom a name leads to is never believed
// (the broker's certificate is), so a spec without one changes nothing and is no failure.
Status UsePodsNameServers(const std::string& oci_spec_json);
// Writes `file` below /proc/sys for each entry ("net.core.somaxconn").
Status SetSysctl(const std::string& name, const std::string& value);
// Copies a sealed image file onto our tmpfs, so that containers can map it.
Status CopyImage(int image, const std::string& path, mode_t mode);
// Removes a folder and all below it, without following links or crossing into other file systems.
void RemoveTree(const std::string& path);

}  // namespace ccgpu::shim
