// What the GPU's firmware does: answers the DOE mailbox, and the guest's RPCs inside the session.
#include <algorithm>

#include "gpu-emulator/device/gpu_impl.h"
#include "trust/spdm/gsp_frame.h"

namespace ccgpu::device {
namespace {

constexpr int kPollMs = 250;

}  // namespace

void Gpu::Impl::Serve() {
  TimePoint checked = Now();
  while (!stop) {
    const Result<Bytes> request = mailbox.Receive(kPollMs);
    gate.Pass(stop);
    if (stop) return;
    DeviceState before, after;
    bool was_ready, is_ready;
    {
      const std::scoped_lock lock(mutex);
      before = state;
      was_ready = ready;
    }
    if (request.ok() && !offline) {
      Bytes answer;
      {
        const std::scoped_lock lock(responder_mutex);
        answer = Answer(*request);
      }
      if (!answer.empty() && !offline && !gate.closed()) mailbox.Answer(answer);
    }
    if (const TimePoint now = Now(); now > checked) {
      checked = now;
      const std::scoped_lock lock(responder_mutex);
      responder->CheckHeartbeat(now);
    }
    {
      const std::scoped_lock lock(mutex);
      after = state;
      is_ready = ready;
    }
    if (before != after || was_ready != is_ready) Changed();
  }
}

Bytes Gpu::Impl::Answer(ByteView object) {
  if (link::IsRpcObject(object)) {
    const Result<Bytes> rpc = link::DecodeRpcObject(object);
    if (!rpc.ok()) return {};
    return link::EncodeRpcObject(link::EncodeAnswer(HandleRpc(*rpc, false)));
  }
  // DOE, or the envelope of NVIDIA's driver. What is neither gets no answer: a real mailbox only sets its error bit.
  Result<Bytes> answer = spdm::IsGspFrame(object) ? spdm::HandleGspFrame(*responder, object, Now())
                                                  : spdm::HandleDoe(*responder, object, Now());
  return answer.ok() ? std::move(*answer) : Bytes();
}

void Gpu::Impl::OnSession(const Bytes& export_master_secret) {
  const std::scoped_lock lock(mutex);
  emk.assign(export_master_secret.begin(),
             export_master_secret.begin() + 32);  // 48 bytes come, the driver takes the first 32
  keys.clear();
  channel_counter = 0;
  ++counters.sessions;
}

void Gpu::Impl::OnSessionEnd(std::string_view why) {
  if (quiet) return;
  DropWork(true);
  const std::scoped_lock lock(mutex);
  if (why == "END_SESSION" || state != DeviceState::kRun) {
    Move(Event::kStop);
    return;
  }
  ++counters.sessions_lost;
  if (error.empty()) error = "gpu.session-lost";
  Move(Event::kFail);
}

Result<Bytes> Gpu::Impl::HandleRpc(ByteView request, bool in_session) {
  Reader in(request);
  const auto op = static_cast<link::RpcOp>(in.U8());
  if (!in_session) {
    const std::scoped_lock lock(mutex);
    if (mode != Mode::kOff) {
      return Err("gpu.session-required", config.uuid,
                 "is in mode " + std::string(link::ModeName(mode)) + ": RPCs are taken only inside the session");
    }
  }
  switch (op) {
    case link::RpcOp::kStart: return Start(in);
    case link::RpcOp::kSetReady: return SetReady(in);
    case link::RpcOp::kOpenChannel: return OpenChannel();
    case link::RpcOp::kCloseChannel: return CloseChannel(in);
    case link::RpcOp::kGetInfo: return Info();
  }
  return Err("gpu.bad-rpc", config.uuid, "does not know this RPC");
}

Result<Bytes> Gpu::Impl::Start(Reader& in) {
  const ByteView nonce = in.Take(32);
  const std::scoped_lock lock(mutex);
  if (!in.AtEnd()) return Err("gpu.bad-rpc", config.uuid, "START takes the 32 bytes of the lock nonce");
  if (mode == Mode::kOff) return Err("gpu.mode-off", config.uuid, "has no confidential computing to start in mode off");
  if (state != DeviceState::kLocked)
    return Err("gpu.not-locked", config.uuid, "is in state " + std::string(link::StateName(state)));
  // One try per LOCK: guessing is pointless, and a session that ended cannot be followed by another one that nobody
  // attested.
  if (start_used) return Err("gpu.lock-nonce", config.uuid, "was started with this lock before; lock it again");
  start_used = true;
  if (!EqualConstantTime(nonce, lock_nonce)) return Err("gpu.lock-nonce", config.uuid, "is not locked with this nonce");
  Move(Event::kStart);
  return Bytes();
}

Result<Bytes> Gpu::Impl::SetReady(Reader& in) {
  const uint8_t value = in.U8();
  {
    const std::scoped_lock lock(mutex);
    if (!in.AtEnd() || value > 1) return Err("gpu.bad-rpc", config.uuid, "SET_READY takes 0 or 1");
    if (state != DeviceState::kRun)
      return Err("gpu.not-running", config.uuid, "is in state " + std::string(link::StateName(state)));
    if (value == 1) {
      if (ready_latched)
        return Err("gpu.ready-latched", config.uuid, "had its ready state taken back; only a new session can set it");
      ready = true;
      return Bytes();
    }
    if (!ready) return Bytes();
    ready = false;
    ready_latched = true;  // as on the real part: once false after true, work ends for good
  }
  std::map<uint32_t, std::unique_ptr<Channel>> ending;
  {
    const std::scoped_lock lock(mutex);
    ending.swap(channels);
  }
  for (auto& [id, channel] : ending) channel->MarkLost();
  return Bytes();
}

Result<Bytes> Gpu::Impl::OpenChannel() {
  link::ChannelOffer offer;
  ChannelConfig channel;
  {
    const std::scoped_lock lock(mutex);
    if (state != DeviceState::kRun)
      return Err("gpu.not-running", config.uuid, "is in state " + std::string(link::StateName(state)));
    if (mode != Mode::kOff && !ready)
      return Err("gpu.not-ready", config.uuid, "does not accept work before it is attested and set ready");
    while (offer.channel < link::kChannels && channels.contains(offer.channel)) ++offer.channel;
    if (offer.channel == link::kChannels) return Err("gpu.no-channel", config.uuid, "has all its channels in use");
    offer.protection = link::ProtectionOf(mode);
    auto [line, fresh] = keys.try_emplace(offer.channel);
    if (fresh) {
      random.Fill(line->second.h2d_mask);
      random.Fill(line->second.d2h_mask);
    }
    offer.generation = line->second.openings++;
    offer.channel_counter = ++channel_counter;
    offer.h2d_mask = line->second.h2d_mask;
    offer.d2h_mask = line->second.d2h_mask;
    channel.h2d = link::KeyOf(offer, false, emk);
    channel.d2h = link::KeyOf(offer, true, emk);
  }
  channel.id = offer.channel;
  channel.protection = offer.protection;
  channel.memory = memory.get();
  channel.gate = &gate;
  if (config.engine) channel.engine = config.engine();
  channel.on_error = [this](const Error&) {
    const std::scoped_lock lock(mutex);
    ++channel_errors;
    Publish();
  };
  auto made = std::make_unique<Channel>(link, std::move(channel));
  const std::scoped_lock lock(mutex);
  channels[offer.channel] = std::move(made);
  return link::Encode(offer);
}

Result<Bytes> Gpu::Impl::CloseChannel(Reader& in) {
  const uint32_t id = in.U32();
  if (!in.AtEnd()) return Err("gpu.bad-rpc", config.uuid, "CLOSE_CHANNEL takes a channel");
  std::unique_ptr<Channel> ending;
  {
    const std::scoped_lock lock(mutex);
    const auto it = channels.find(id);
    if (it == channels.end()) return Err("gpu.no-channel", config.uuid, "has no such channel open");
    ending = std::move(it->second);
    channels.erase(it);
  }
  return Bytes();  // joined here, without the lock
}

Bytes Gpu::Impl::Info() {
  const std::scoped_lock lock(mutex);
  link::GpuInfo info;
  info.uuid = config.uuid;
  info.model = config.model;
  info.architecture = config.architecture;
  info.serial = config.serial;
  info.driver_version = config.driver_version;
  info.vbios_version = config.vbios_version;
  info.index = config.index;
  info.board_id = config.board_id;
  info.compute_major = config.compute_major;
  info.compute_minor = config.compute_minor;
  info.sm_count = config.sm_count;
  info.memory_bytes = config.memory_bytes;
  info.memory_used = memory->used();
  info.mode = mode;
  info.ready = ready || mode == Mode::kOff;
  return link::Encode(info);
}

}  // namespace ccgpu::device
