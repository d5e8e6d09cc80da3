// Executes the commands of one channel (gpu-emulator/link/commands.h): memory, copies, modules, launches. For the
// channel's thread only.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>

#include "gpu-emulator/device/memory.h"
#include "gpu-emulator/device/ptx/engine.h"
#include "gpu-emulator/link/commands.h"
#include "gpu-emulator/link/ring.h"

namespace ccgpu::device {

class Executor {
 public:
  Executor(DeviceMemory& memory, std::unique_ptr<ptx::Engine> engine, link::RingReader& reader,
           link::RingWriter& writer, const std::atomic<bool>& stop);

  // Takes one command out of the ring and answers it. Precondition: the ring has a record. An error is fatal to the
  // channel: "link.integrity", "link.replayed", "link.bad-record", "link.bad-ring", "link.bad-command", "link.stopped".
  // What is wrong with a command that the client meant (out of memory, bad address, bad PTX) goes into its completion
  // instead.
  Status RunOne();

 private:
  struct Call {
    uint32_t sequence;
    Reader arguments;
  };
  Result<Bytes> Dispatch(link::Command op, Reader& in, Status& fatal);
  Result<Bytes> MemSet(Reader& in);
  Result<Bytes> CopyDevice(Reader& in);
  Result<Bytes> CopyIn(Reader& in, Status& fatal);
  Result<Bytes> ModuleLoad(Reader& in, Status& fatal);
  Result<Bytes> Function(Reader& in);
  Result<Bytes> Global(Reader& in);
  Result<Bytes> Launch(Reader& in);
  // The next record, which must be of this kind and length, into `out` (null: dropped).
  Status TakeRecord(link::RecordKind kind, size_t length, uint8_t* out);
  Status Complete(uint32_t sequence, const Result<Bytes>& answer);
  Status Send(link::RecordKind kind, ByteView payload);
  Result<ptx::Module*> FindModule(uint32_t id);
  bool Stopped() const { return stop_; }

  ContextMemory memory_;
  std::unique_ptr<ptx::Engine> engine_;
  link::RingReader& reader_;
  link::RingWriter& writer_;
  const std::atomic<bool>& stop_;
  std::map<uint32_t, std::unique_ptr<ptx::Module>> modules_;
  uint32_t next_module_ = 1;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Bytes command_, scratch_;
  uint64_t copy_out_address_ = 0, copy_out_size_ = 0;  // of the command being answered
};

}  // namespace ccgpu::device
