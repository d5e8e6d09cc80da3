#include "gpu-emulator/guest/libcuda/channel.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "gpu-emulator/link/rpc.h"

namespace ccgpu::cuda {
namespace {

using link::RecordKind;
constexpr int kSliceMs = 100;
constexpr int kSpaceSliceMs = 2;  // a full ring empties fast, unless the device waits for us to take completions

struct Mapping {
  std::string_view code;
  CUresult result;
};
constexpr Mapping kMappings[] = {
    {"cuda.out-of-memory", CUDA_ERROR_OUT_OF_MEMORY},
    {"cuda.invalid-address", CUDA_ERROR_INVALID_VALUE},
    {"cuda.invalid-handle", CUDA_ERROR_INVALID_HANDLE},
    {"cuda.invalid-launch", CUDA_ERROR_INVALID_VALUE},
    {"cuda.not-found", CUDA_ERROR_NOT_FOUND},
    {"cuda.invalid-ptx", CUDA_ERROR_INVALID_PTX},
    {"cuda.no-engine", CUDA_ERROR_NOT_SUPPORTED},
    {"cuda.illegal-address", CUDA_ERROR_ILLEGAL_ADDRESS},
    {"cuda.misaligned-address", CUDA_ERROR_MISALIGNED_ADDRESS},
    {"cuda.invalid-value", CUDA_ERROR_INVALID_VALUE},
    {"cuda.launch-timeout", CUDA_ERROR_LAUNCH_TIMEOUT},
    {"cuda.launch-failed", CUDA_ERROR_LAUNCH_FAILED},
    {"link.integrity", CUDA_ERROR_ECC_UNCORRECTABLE},
    {"link.replayed", CUDA_ERROR_ECC_UNCORRECTABLE},
    {"link.bad-ring", CUDA_ERROR_ECC_UNCORRECTABLE},
    {"link.bad-record", CUDA_ERROR_ECC_UNCORRECTABLE},
    {"link.bad-message", CUDA_ERROR_ECC_UNCORRECTABLE},
    {"gpu.not-ready", CUDA_ERROR_SYSTEM_NOT_READY},
    {"gpu.lost", CUDA_ERROR_LAUNCH_FAILED},
    {"gpu.no-channel", CUDA_ERROR_OUT_OF_MEMORY},
    {"gpu.not-running", CUDA_ERROR_DEVICE_UNAVAILABLE},
    {"driver.no-socket", CUDA_ERROR_NO_DEVICE},
    {"driver.version", CUDA_ERROR_SYSTEM_DRIVER_MISMATCH},
    {"driver.closed", CUDA_ERROR_DEVICE_UNAVAILABLE},
    {"driver.io", CUDA_ERROR_DEVICE_UNAVAILABLE},
};

}  // namespace

CUresult ToCuda(const Error& error) {
  for (const Mapping& mapping : kMappings) {
    if (mapping.code == error.code) return mapping.result;
  }
  return error.code.starts_with("cuda.") ? CUDA_ERROR_LAUNCH_FAILED : CUDA_ERROR_UNKNOWN;
}

Result<std::shared_ptr<Channel>> Channel::Open(std::shared_ptr<socket::Client> client, uint32_t gpu) {
  ASSIGN_OR_RETURN(auto opened, client->OpenChannel(gpu));
  auto& [grant, fd] = opened;
  ASSIGN_OR_RETURN(link::LinkMemory memory, link::LinkMemory::Map(std::move(fd)));
  std::shared_ptr<Channel> channel(new Channel(std::move(client), gpu, grant, std::move(memory)));
  grant.Wipe();
  return channel;
}

Channel::Channel(std::shared_ptr<socket::Client> client, uint32_t gpu, const socket::ChannelGrant& grant,
                 link::LinkMemory memory)
    : client_(std::move(client)),
      gpu_(gpu),
      id_(grant.channel),
      memory_(std::move(memory)),
      writer_(memory_, id_, false, link::RecordCipher(grant.protection, grant.h2d)),
      reader_(memory_, id_, true, link::RecordCipher(grant.protection, grant.d2h)) {}

Channel::~Channel() { (void)client_->CloseChannel(gpu_, id_); }

bool Channel::Broken() const {
  return link::Load(memory_.control(id_)->status) != link::kChannelOpen || !client_->Alive();
}

Error Channel::StateError() const {
  const uint32_t status = link::Load(memory_.control(id_)->status);
  if (status == link::kChannelIntegrity)
    return Err("link.integrity", "channel", "the device found a record that was changed on the link");
  if (status == link::kChannelProtocol)
    return Err("link.bad-record", "channel", "the device could not make sense of a record");
  return Err("gpu.lost", "channel", "the GPU is gone: lost, reset or taken back");
}

void Channel::Die(const Error& cause) {
  // A device that goes away takes its ring with it: what is left there is not an attack.
  const bool lost = link::Load(memory_.control(id_)->status) == link::kChannelLost;
  const Error error = lost && cause.code.starts_with("link.") ? StateError() : cause;
  int none = CUDA_SUCCESS;
  if (!failure_.compare_exchange_strong(none, ToCuda(error))) return;
  std::fprintf(stderr, "ccgpu: libcuda: %s\n", error.ToString().c_str());
  // What was on its way is not delivered, not even in part.
  for (Pending& pending : pending_) {
    if (pending.out) std::memset(pending.out, 0, pending.out_size);
  }
  Completion failed;
  failed.status = failure();
  failed.error = error;
  while (!pending_.empty()) Finish(failed);
  progress_.notify_all();
}

void Channel::Finish(const Completion& completion) {
  Pending front = std::move(pending_.front());
  pending_.pop_front();
  if (front.done) front.done(completion);
  finished_ = front.ticket;
}

Ticket Channel::Submit(Command command) {
  const std::scoped_lock lock(mutex_);
  if (failure() != CUDA_SUCCESS) return 0;
  const Ticket ticket = submitted_ + 1;
  Writer record;
  record.U16(static_cast<uint16_t>(command.op)).U16(0).U32(static_cast<uint32_t>(ticket)).Raw(command.arguments);
  Status status = SendRecord(RecordKind::kCommand, record.bytes());
  if (status.ok()) {
    pending_.push_back({ticket, command.out, command.out_size, command.sticky, std::move(command.done)});
    submitted_ = ticket;
  }
  command.more.insert(command.more.begin(), command.data);
  for (const ByteView part : command.more) {
    for (size_t done = 0; done < part.size() && status.ok();) {
      const size_t piece = std::min(link::kSlotPayload, part.size() - done);
      status = SendRecord(command.kind, part.subspan(done, piece));
      done += piece;
    }
  }
  if (!status.ok()) {
    Die(status.error());
    return 0;
  }
  return ticket;
}

Status Channel::SendRecord(RecordKind kind, ByteView payload) {
  if (!reader_busy_) RETURN_IF_ERROR(Drain());
  while (!writer_.HasSpace()) {
    const Status waited =
        writer_.WaitSpace([this] { return (!reader_busy_ && reader_.HasRecord()) || Broken(); }, kSpaceSliceMs);
    if (!waited.ok() && waited.error().code != "link.stopped") return waited;
    if (!reader_busy_) RETURN_IF_ERROR(Drain());
    if (Broken()) return StateError();
  }
  writer_.Write(kind, payload);
  return Ok();
}

Status Channel::Drain() {
  while (failure() == CUDA_SUCCESS && reader_.HasRecord()) RETURN_IF_ERROR(TakeRecord());
  return Ok();
}

Status Channel::TakeRecord() {
  ASSIGN_OR_RETURN(const link::RecordHeader header, reader_.Peek());
  if (receiving_ == 0) {
    if (header.kind != static_cast<uint32_t>(RecordKind::kCommand))
      return Err("link.bad-record", "record", "is not a completion where one was expected");
    record_.resize(header.length);
    RETURN_IF_ERROR(reader_.Take(header, record_.data()));
    return TakeCompletion(record_);
  }
  const Pending& front = pending_.front();
  const uint64_t expected = std::min<uint64_t>(link::kSlotPayload, receiving_);
  if (header.kind != static_cast<uint32_t>(RecordKind::kData) || header.length != expected) {
    return Err("link.bad-record", "record", "is not the data that was expected");
  }
  RETURN_IF_ERROR(reader_.Take(header, front.out + (front.out_size - receiving_)));
  receiving_ -= expected;
  if (receiving_ == 0) Finish(*received_);
  return Ok();
}

Status Channel::TakeCompletion(ByteView record) {
  Reader in(record);
  const uint32_t sequence = in.U32();
  Completion completion;
  completion.device_ns = in.U64();
  if (!in.ok() || pending_.empty() || static_cast<uint32_t>(pending_.front().ticket) != sequence) {
    return Err("link.bad-message", "completion", "is not of the command that is due");
  }
  Result<Bytes> answer = link::DecodeAnswer(in.Rest());
  if (answer.ok()) {
    completion.payload = std::move(*answer);
  } else {
    completion.error = answer.error();
    completion.status = ToCuda(answer.error());
    if (completion.error.code == "link.bad-message") return completion.error;
  }
  if (completion.status == CUDA_SUCCESS && pending_.front().out_size > 0) {
    receiving_ = pending_.front().out_size;
    received_ = std::move(completion);
    return Ok();
  }
  if (completion.status != CUDA_SUCCESS && pending_.front().sticky) return completion.error;
  Finish(completion);
  return Ok();
}

CUresult Channel::Wait(Ticket ticket) {
  std::unique_lock lock(mutex_);
  while (finished_ < ticket && failure() == CUDA_SUCCESS) {
    if (reader_busy_) {
      progress_.wait(lock);
      continue;
    }
    Status status = Drain();
    if (status.ok() && finished_ < ticket) {
      reader_busy_ = true;
      lock.unlock();
      bool broken = false;
      const Status waited = reader_.WaitRecord([&] { return broken = Broken(); }, kSliceMs);
      lock.lock();
      reader_busy_ = false;
      status = Drain();  // what came before the end still counts
      if (status.ok() && !waited.ok() && broken && finished_ < ticket) status = StateError();
    }
    if (!status.ok()) Die(status.error());
    progress_.notify_all();
  }
  return failure();
}

bool Channel::Finished(Ticket ticket) {
  if (finished_ >= ticket) return true;
  const std::scoped_lock lock(mutex_);
  if (!reader_busy_ && failure() == CUDA_SUCCESS) {
    Status status = Drain();
    if (status.ok() && finished_ < ticket && Broken()) {
      status = Drain();
      if (status.ok() && finished_ < ticket) status = StateError();
    }
    if (!status.ok()) Die(status.error());
    progress_.notify_all();
  }
  return finished_ >= ticket || failure() != CUDA_SUCCESS;
}

Completion Channel::Call(Command command) {
  auto result = std::make_shared<Completion>();
  command.done = [result](const Completion& completion) { *result = completion; };
  const Ticket ticket = Submit(std::move(command));
  if (ticket == 0) {
    result->status = failure();
    return *result;
  }
  const CUresult status = Wait(ticket);
  if (status != CUDA_SUCCESS && result->status == CUDA_SUCCESS && finished_ < ticket) result->status = status;
  return *result;
}

}  // namespace ccgpu::cuda
