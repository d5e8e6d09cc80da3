// One message with at most one file descriptor, over a SOCK_SEQPACKET unix socket.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::socket {

struct Message {
  Bytes bytes;
  Fd fd;
};
// Errors: "driver.closed" (the peer is gone), "driver.io".
Status Send(int socket, ByteView bytes, int fd = -1);
Result<Message> Receive(int socket, size_t limit);
Result<Fd> Connect(const std::string& path);

}  // namespace ccgpu::socket
