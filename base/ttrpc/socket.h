// Unix stream sockets: the few steps that are easy to get wrong.
#pragma once

#include <chrono>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::ttrpc {

// Listens at `path`, mode 0600. A file nobody listens on is replaced; "ttrpc.in-use" when somebody does.
Result<Fd> ListenUnix(const std::string& path);
// "ttrpc.connect" when nobody listens (or not within `timeout`).
Result<Fd> ConnectUnix(const std::string& path, std::chrono::milliseconds timeout);
// The peer runs under our effective user id (or as root).
bool PeerIsSameUser(int fd);
void SetNonBlocking(int fd);

}  // namespace ccgpu::ttrpc
