// A Session on a non-blocking socket.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/rpc/session.h"

namespace ccgpu::rpc {

// Not for several threads at once.
class Link {
 public:
  Link(Fd fd, Session::Side side, Session::Limits limits, SessionEvents& events);

  // Hands what has come, or a good part of it, to the session. False: the connection is over.
  bool Read();
  // Sends what the session has and the socket takes. False: the connection is over.
  bool Write();
  // Something waits until the socket takes it.
  bool wants_write() const { return sent_ < output_.size(); }
  int fd() const { return fd_.get(); }
  Session& session() { return session_; }

 private:
  Fd fd_;
  Session session_;
  std::string output_;
  size_t sent_ = 0;
};

}  // namespace ccgpu::rpc
