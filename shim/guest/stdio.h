// Standard streams of one process: copies between the container's pipes (or its pty) and the descriptors that the host
// half sent. All copying of a sandbox is done by one loop on one thread.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/ttrpc/loop.h"

namespace ccgpu::shim {

// What the host half handed over; an invalid Fd is a stream that nobody wants.
struct HostStreams {
  Fd in, out, err;
};

class Stdio {
 public:
  explicit Stdio(ttrpc::Loop& loop) : loop_(loop) {}
  ~Stdio() { Close(); }
  Stdio(const Stdio&) = delete;

  // Makes the pipes that the process gets as 0, 1 and 2 (ids for Spawn::fds; -1 where nobody is at the other end).
  // `stdin_later`: there will be an input, which AttachInput brings.
  Result<std::vector<int>> MakePipes(HostStreams streams, bool stdin_later);
  // Begins to copy, once the process has its ends (ours are closed here).
  void StartPipes();
  // Copies to and from a pty's master instead.
  void StartTerminal(Fd master, HostStreams streams);

  // The input that was announced. Once.
  void AttachInput(Fd in);
  Status Resize(uint32_t width, uint32_t height);
  // Until all output has been passed on, but not longer than `limit`: a process left behind may hold the pipe for ever.
  void WaitDrained(std::chrono::milliseconds limit);
  void Close();

  class Stream;

 private:
  ttrpc::Loop& loop_;
  HostStreams host_;
  Fd child_[3];  // the process's ends, until StartPipes
  Fd parent_[3];
  Fd master_;
  std::vector<std::shared_ptr<Stream>> outputs_;
  std::shared_ptr<Stream> input_;
};

}  // namespace ccgpu::shim
