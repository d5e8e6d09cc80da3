// Serves a TsmTree over a /dev/fuse descriptor that a guest has mounted on /sys/kernel/config/tsm, so that in the
// sandbox
//   mkdir /sys/kernel/config/tsm/report/x; write 64 bytes to x/inblob; read x/outblob
// behaves as with Linux's sev-guest or tdx-guest driver (`provider`). The root of the file system is the content of the
// `tsm` folder: it holds `report`.
#pragma once

#include <memory>
#include <thread>

#include "base/fd.h"
#include "gpu-emulator/platform/tsm_tree.h"

namespace ccgpu::emulator {

class TsmFuse {
 public:
  // `fuse` must be an open /dev/fuse that is mounted already ("platform.bad-fuse" otherwise). Serves on a thread of its
  // own until destroyed or unmounted. `reporter` is called on that thread.
  static Result<std::unique_ptr<TsmFuse>> Serve(Fd fuse, std::string provider, TsmTree::Reporter reporter);
  ~TsmFuse();
  struct State;  // of the implementation

 private:
  TsmFuse() = default;
  void Loop();
  std::unique_ptr<State> state_;
  Fd stop_;
  std::thread thread_;
};

}  // namespace ccgpu::emulator
