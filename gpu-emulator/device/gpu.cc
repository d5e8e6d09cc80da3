#include "gpu-emulator/device/gpu.h"

#include <unistd.h>

#include "gpu-emulator/device/gpu_impl.h"

namespace ccgpu::device {

Gpu::Gpu(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gpu::~Gpu() = default;

Result<std::unique_ptr<Gpu>> Gpu::Create(GpuConfig config, Mode mode, spdm::ResponderConfig identity) {
  ASSIGN_OR_RETURN(std::unique_ptr<DeviceMemory> memory, DeviceMemory::Create(config.memory_bytes));
  ASSIGN_OR_RETURN(link::LinkMemory link, link::LinkMemory::Create(config.link_path));
#ifdef CCGPU_HAVE_PTX
  if (!config.engine) config.engine = [] { return ptx::MakeInterpreter(); };
#endif
  auto impl = std::make_unique<Impl>(std::move(config), std::move(link), std::move(memory));
  {
    const std::scoped_lock lock(impl->responder_mutex, impl->mutex);
    impl->mode = mode;
    impl->SetIdentity(std::move(identity));
    impl->Publish();
  }
  impl->thread = std::thread([raw = impl.get()] { raw->Serve(); });
  return std::unique_ptr<Gpu>(new Gpu(std::move(impl)));
}

const GpuConfig& Gpu::config() const { return impl_->config; }
int Gpu::link_fd() const { return impl_->link.fd(); }

DeviceState Gpu::state() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->state;
}
Mode Gpu::mode() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->mode;
}
bool Gpu::held() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->held;
}
std::string Gpu::sandbox_id() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->sandbox;
}
bool Gpu::ready() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->ready;
}
std::string Gpu::error_reason() const {
  const std::scoped_lock lock(impl_->mutex);
  if (impl_->link_down) return "gpu.link-down";
  if (impl_->gate.closed()) return "gpu.hang";
  return impl_->error;
}

GpuCounters Gpu::counters() const {
  const std::scoped_lock lock(impl_->mutex);
  GpuCounters out = impl_->counters;
  out.in_session = !impl_->emk.empty();
  return out;
}

Result<LockInfo> Gpu::Lock(const std::string& sandbox_id) {
  auto info = impl_->Lock(sandbox_id);
  if (info.ok()) impl_->Changed();
  return info;
}

void Gpu::Release() {
  {
    const std::scoped_lock lock(impl_->responder_mutex);
    impl_->ForgetSession();
    impl_->DropWork(true);
    impl_->Settle(Event::kRelease);
  }
  impl_->Changed();
}

void Gpu::Reset(Mode mode, spdm::ResponderConfig identity) {
  {
    const std::scoped_lock lock(impl_->responder_mutex);
    impl_->ForgetSession();
    impl_->DropWork(true);
    {
      const std::scoped_lock state_lock(impl_->mutex);
      impl_->mode = mode;
      ++impl_->boot_count;
      impl_->lock_nonce.clear();
      impl_->SetIdentity(std::move(identity));
    }
    impl_->Settle(Event::kReset);
  }
  impl_->Changed();
}

void Gpu::SetLinkDown(bool down) {
  impl_->offline = down;
  {
    const std::scoped_lock lock(impl_->responder_mutex);
    {
      const std::scoped_lock state_lock(impl_->mutex);
      if (impl_->link_down == down) return;
      impl_->link_down = down;
    }
    if (down) {
      impl_->ForgetSession();
      impl_->DropWork(true);
      impl_->Fail("gpu.link-down");
    } else if (!held()) {
      impl_->Settle(Event::kReset);
    }
  }
  impl_->Changed();
}

void Gpu::SetHang(bool hang) {
  impl_->gate.Set(hang);
  if (hang) {
    impl_->Fail("gpu.hang");
  } else if (!held()) {
    impl_->Settle(Event::kReset);
  }
  impl_->Changed();
}

void Gpu::OnChange(std::function<void()> changed) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->changed = std::move(changed);
}

Gpu::Impl::~Impl() {
  stop = true;
  gate.Wake();
  mailbox.Kick();
  if (thread.joinable()) thread.join();
  {
    const std::scoped_lock lock(responder_mutex);
    ForgetSession();
    DropWork(true);
  }
  if (!config.link_path.empty()) ::unlink(config.link_path.c_str());
}

TimePoint Gpu::Impl::Now() const {
  return TimePoint(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()));
}

void Gpu::Impl::SetIdentity(spdm::ResponderConfig identity) {
  leaf_sha384 = identity.chain_der.empty() ? Bytes() : crypto::Sha384(identity.chain_der.back());
  identity.vendor_in_session = [this](ByteView request) { return HandleRpc(request, true); };
  identity.on_session = [this](const Bytes& secret) { OnSession(secret); };
  identity.on_session_end = [this](std::string_view why) { OnSessionEnd(why); };
  responder = std::make_unique<spdm::Responder>(std::move(identity));
}

void Gpu::Impl::ForgetSession() {
  quiet = true;
  if (responder) responder->Reset();
  quiet = false;
}

void Gpu::Impl::DropWork(bool lost) {
  std::map<uint32_t, std::unique_ptr<Channel>> ending;
  {
    const std::scoped_lock lock(mutex);
    ending.swap(channels);
    keys.clear();
    Wipe(emk);
    emk.clear();
    ready = false;
  }
  for (auto& [id, channel] : ending) {
    if (lost) channel->MarkLost();
  }
  ending.clear();
  memory->ScrubAll();
  const std::scoped_lock lock(mutex);
  ++counters.scrubs;
}

bool Gpu::Impl::Move(Event event) {
  const auto next = Next(state, event);
  if (!next) return false;
  state = *next;
  Publish();
  return true;
}

void Gpu::Impl::Fail(std::string reason) {
  const std::scoped_lock lock(mutex);
  if (error.empty()) error = std::move(reason);
  Move(Event::kFail);
}

void Gpu::Impl::Settle(Event event) {
  const std::scoped_lock lock(mutex);
  if (event == Event::kRelease) {
    held = false;
    sandbox.clear();
    Wipe(lock_nonce);
    lock_nonce.clear();
  }
  error.clear();
  ready_latched = false;
  Move(event);
  if (link_down || gate.closed()) Move(Event::kFail);
}

Result<LockInfo> Gpu::Impl::Lock(const std::string& sandbox_id) {
  const std::scoped_lock lock(mutex);
  if (held) return Err("gpu.already-locked", config.uuid, "is held by sandbox " + sandbox);
  if (link_down || gate.closed() || !Next(state, Event::kLock)) {
    return Err("gpu.not-usable", config.uuid,
               "is in state " + std::string(link::StateName(state)) + ": reset it or clear the fault");
  }
  held = true;
  sandbox = sandbox_id;
  lock_nonce = random.Take(32);
  start_used = false;
  ++lock_count;
  Move(Event::kLock);
  if (mode == Mode::kOff) Move(Event::kStart);
  return LockInfo{lock_nonce, leaf_sha384, lock_count};
}

void Gpu::Impl::Publish() {
  link::Registers* registers = link.registers();
  registers->version = link::kVersion;
  registers->index = config.index;
  registers->channels = link::kChannels;
  registers->slots = link::kSlots;
  registers->slot_payload = link::kSlotPayload;
  link::Store(registers->mode, static_cast<uint32_t>(mode));
  link::Store(registers->state, static_cast<uint32_t>(state));
  link::Store(registers->boot_count, boot_count);
  link::Store(registers->error_count, channel_errors);
  link::Store(registers->magic, link::kMagic);
}

void Gpu::Impl::Changed() {
  std::function<void()> call;
  {
    const std::scoped_lock lock(mutex);
    call = changed;
  }
  if (call) call();
}

}  // namespace ccgpu::device
