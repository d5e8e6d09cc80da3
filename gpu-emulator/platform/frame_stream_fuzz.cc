// The secure processor's reader of frames: nothing that a peer sends may do more than end its connection.
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "gpu-emulator/platform/frame_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2];
  if (size > (64u << 10) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  ccgpu::emulator::FrameStream stream{ccgpu::Fd(ends[0])};
  {
    ccgpu::Fd peer(ends[1]);
    if (size > 0 && send(peer.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return 0;
  }
  while (stream.TryReceive().ok()) {}
  return 0;
}
