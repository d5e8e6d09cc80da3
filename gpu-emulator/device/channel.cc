#include "gpu-emulator/device/channel.h"

#include <cstring>

namespace ccgpu::device {
namespace {

constexpr int kSliceMs = 500;

void ClearControl(const link::LinkMemory& memory, uint32_t id) {
  memory.Discard(id);
  std::memset(memory.control(id), 0, sizeof(link::ChannelControl));
}

const link::LinkMemory& Prepared(const link::LinkMemory& memory, uint32_t id) {
  ClearControl(memory, id);
  link::Store(memory.control(id)->status, link::kChannelOpen);
  return memory;
}

}  // namespace

void HangGate::Set(bool closed) {
  const std::scoped_lock lock(mutex_);
  closed_ = closed;
  changed_.notify_all();
}

void HangGate::Pass(const std::atomic<bool>& stop) {
  if (!closed_) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !closed_ || stop; });
}

void HangGate::Wake() {
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

Channel::Channel(const link::LinkMemory& link, ChannelConfig config)
    : link_(Prepared(link, config.id)),
      id_(config.id),
      gate_(config.gate),
      on_error_(std::move(config.on_error)),
      reader_(link, id_, false, link::RecordCipher(config.protection, config.h2d)),
      writer_(link, id_, true, link::RecordCipher(config.protection, config.d2h)),
      executor_(*config.memory, std::move(config.engine), reader_, writer_, stop_) {
  config.h2d.Wipe();
  config.d2h.Wipe();
  thread_ = std::thread([this] { Work(); });
}

Channel::~Channel() {
  stop_ = true;
  reader_.Kick();
  writer_.Kick();
  gate_->Wake();
  thread_.join();
  link::Store(link_.control(id_)->status, link::kChannelClosed);
  link_.Discard(id_);
}

void Channel::MarkLost() { link::Store(link_.control(id_)->status, link::kChannelLost); }

void Channel::Work() {
  while (!stop_) {
    Status status = Step();
    if (status.ok() || stop_) continue;
    // The channel is dead: nothing that came after a bad record can be believed, and nothing more is sent.
    if (on_error_) on_error_(status.error());
    const std::string& code = status.error().code;
    const bool integrity = code == "link.integrity" || code == "link.replayed";
    link::Store(link_.control(id_)->status, integrity ? link::kChannelIntegrity : link::kChannelProtocol);
    link::RingControl& ring = link_.control(id_)->d2h;
    link::Increment(ring.data);
    link::FutexWake(ring.data);
    link::Increment(link_.control(id_)->h2d.space);
    link::FutexWake(link_.control(id_)->h2d.space);
    return;
  }
}

Status Channel::Step() {
  RETURN_IF_ERROR(reader_.WaitRecord([this] { return stop_.load(); }, kSliceMs));
  gate_->Pass(stop_);
  if (stop_) return Ok();
  return executor_.RunOne();
}

}  // namespace ccgpu::device
