// The client's end of one channel: commands out, completions and data back. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "gpu-emulator/guest/libcuda/cuda.h"
#include "gpu-emulator/guest/socket/client.h"
#include "gpu-emulator/link/commands.h"
#include "gpu-emulator/link/memory.h"
#include "gpu-emulator/link/ring.h"

namespace ccgpu::cuda {

// The driver API's number for a reason code of the device, the link or the driver.
CUresult ToCuda(const Error& error);

struct Completion {
  CUresult status = CUDA_SUCCESS;
  Error error;  // when status is not CUDA_SUCCESS
  Bytes payload;
  uint64_t device_ns = 0;
};

// Tickets number the commands of a channel from 1; the channel works in their order.
using Ticket = uint64_t;

class Channel {
 public:
  static Result<std::shared_ptr<Channel>> Open(std::shared_ptr<socket::Client> client, uint32_t gpu);
  ~Channel();
  Channel(const Channel&) = delete;

  struct Command {
    link::Command op = link::Command::kSync;
    Bytes arguments = {};
    ByteView data = {};               // follows as records of `kind`
    std::vector<ByteView> more = {};  // and so do these (module texts)
    link::RecordKind kind = link::RecordKind::kData;
    uint8_t* out = nullptr;  // where the data of a copy out goes
    uint64_t out_size = 0;
    bool sticky = false;  // a failure spoils the channel (kernels), as in CUDA
    std::function<void(const Completion&)> done =
        {};  // from whatever thread takes the completion, with the channel locked
  };
  // Sends; returns when `data` has been read. 0: the channel is dead (see failure()).
  Ticket Submit(Command command);
  // Waits for one command and all before it. The channel's failure, if it has one.
  CUresult Wait(Ticket ticket);
  bool Finished(Ticket ticket);  // without waiting
  Ticket last() const { return submitted_; }
  // Submit, wait, and the command's own answer.
  Completion Call(Command command);
  CUresult failure() const { return static_cast<CUresult>(failure_.load()); }

 private:
  struct Pending {
    Ticket ticket;
    uint8_t* out;
    uint64_t out_size;
    bool sticky;
    std::function<void(const Completion&)> done;
  };
  Channel(std::shared_ptr<socket::Client> client, uint32_t gpu, const socket::ChannelGrant& grant,
          link::LinkMemory memory);

  Status SendRecord(link::RecordKind kind, ByteView payload);
  Status Drain();  // everything that has arrived; lock held, reader free
  Status TakeRecord();
  Status TakeCompletion(ByteView record);
  void Finish(const Completion& completion);
  void Die(const Error& cause);  // lock held
  Error StateError() const;      // why the channel's status says that nothing more comes
  bool Broken() const;

  std::shared_ptr<socket::Client> client_;
  const uint32_t gpu_, id_;
  link::LinkMemory memory_;
  std::mutex mutex_;
  std::condition_variable progress_;
  link::RingWriter writer_;
  link::RingReader reader_;
  bool reader_busy_ = false;  // a waiter sleeps on the ring without the lock; only it may take records
  std::deque<Pending> pending_;
  uint64_t receiving_ = 0;  // bytes still to come for the front of pending_
  std::optional<Completion> received_;
  std::atomic<Ticket> submitted_ = 0, finished_ = 0;
  std::atomic<int> failure_ = CUDA_SUCCESS;
  Bytes record_;
};

}  // namespace ccgpu::cuda
