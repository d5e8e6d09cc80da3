// Messages with file descriptors and process ids over unix sockets.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::shim {

struct FdMessage {
  std::string data;
  std::vector<Fd> fds;  // close-on-exec
  pid_t sender = 0;     // SCM_CREDENTIALS, in our pid namespace; 0: none came, or not visible from here
};

inline constexpr size_t kMaxFdsPerMessage = 64;

// One sendmsg. `as_pid` != 0: the message says it comes from that process (needs CAP_SYS_ADMIN); the kernel translates
// the id for a reader in another pid namespace.
Status SendFdMessage(int socket, std::string_view data, const std::vector<int>& fds, pid_t as_pid = 0);
// One recvmsg of at most `max_data` bytes. "channel.closed" at the end; "channel.empty" when `block` is false and
// nothing waits.
Result<FdMessage> ReceiveFdMessage(int socket, size_t max_data, bool block);
// Messages that arrive from now on carry their sender's credentials.
Status WantCredentials(int socket);
// {a, b}; `type` SOCK_STREAM or SOCK_SEQPACKET, close-on-exec.
Result<std::pair<Fd, Fd>> SocketPair(int type);

}  // namespace ccgpu::shim
