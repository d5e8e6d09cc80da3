#include "gpu-emulator/guest/driver/driver.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/crypto/digest.h"
#include "gpu-emulator/guest/driver/driver_identity.h"
#include "gpu-emulator/link/mailbox.h"
#include "gpu-emulator/link/memory.h"
#include "gpu-emulator/link/rpc.h"
#include "trust/spdm/gsp_frame.h"
#include "trust/spdm/requester.h"

namespace ccgpu::driver {
namespace {

class MailboxTransport final : public spdm::Transport {
 public:
  MailboxTransport(const link::LinkMemory& memory, const Options& options)
      : client_(memory), timeout_ms_(options.exchange_timeout_ms), envelope_(options.envelope) {}

  Result<spdm::Packet> Exchange(const spdm::Packet& request) override {
    if (envelope_ == Envelope::kGsp) {
      ASSIGN_OR_RETURN(const Bytes frame, spdm::EncodeGspFrame(request));
      ASSIGN_OR_RETURN(const Bytes answer, client_.Exchange(frame, timeout_ms_));
      return spdm::DecodeGspFrame(answer);
    }
    ASSIGN_OR_RETURN(const Bytes object, client_.Exchange(spdm::EncodeDoe(request), timeout_ms_));
    return spdm::DecodeDoe(object);
  }
  Result<Bytes> Rpc(ByteView rpc) {
    ASSIGN_OR_RETURN(const Bytes object, client_.Exchange(link::EncodeRpcObject(rpc), timeout_ms_));
    if (!link::IsRpcObject(object)) return Err("link.bad-object", "DOE object", "is not the answer to an RPC");
    ASSIGN_OR_RETURN(const Bytes answer, link::DecodeRpcObject(object));
    return link::DecodeAnswer(answer);
  }

 private:
  link::MailboxClient client_;
  int timeout_ms_;
  Envelope envelope_;
};

Bytes Request(link::RpcOp op, ByteView arguments = {}) {
  const uint8_t code = static_cast<uint8_t>(op);
  return Concat({ByteView(&code, 1), arguments});
}

bool MeansLost(const Error& error) { return error.code == "link.timeout" || error.code.starts_with("spdm."); }

}  // namespace

struct GuestDriver::Impl {
  Impl(link::LinkMemory m, const LockedGpu& lock, Options o)
      : memory(std::move(m)), uuid(lock.uuid), options(std::move(o)), transport(memory, options) {}
  ~Impl();

  Status Connect(const LockedGpu& lock);
  // One RPC, in the session where there is one. `mutex` held.
  Result<Bytes> Rpc(link::RpcOp op, ByteView arguments = {});
  Result<socket::GpuInfo> QueryInfo();
  void HeartbeatLoop();
  void MarkLost(const Error& error);
  Error Lost() const { return Err("gpu.lost", uuid, "the GPU no longer answers or its session has ended"); }

  link::LinkMemory memory;
  std::string uuid;
  Options options;
  crypto::SystemRandom random;
  std::mutex mutex;  // requester, transport, info
  MailboxTransport transport;
  std::unique_ptr<spdm::Requester> requester;  // null in mode off
  link::Mode mode = link::Mode::kOff;
  socket::GpuInfo info;
  Bytes emk;
  std::string chain_pem;
  std::atomic<bool> lost = false, ready = false;

  std::mutex stop_mutex;
  std::condition_variable stop_changed;
  bool stop = false;
  std::thread heartbeat;
};

GuestDriver::GuestDriver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GuestDriver::~GuestDriver() = default;

GuestDriver::Impl::~Impl() {
  {
    const std::scoped_lock lock(stop_mutex);
    stop = true;
  }
  stop_changed.notify_all();
  if (heartbeat.joinable()) heartbeat.join();
  const std::scoped_lock lock(mutex);
  if (requester && !lost) (void)requester->EndSession();
  Wipe(emk);
}

Result<std::unique_ptr<GuestDriver>> GuestDriver::Open(Fd link, const LockedGpu& lock, Options options) {
  ASSIGN_OR_RETURN(link::LinkMemory memory, link::LinkMemory::Map(std::move(link)));
  auto impl = std::make_unique<Impl>(std::move(memory), lock, std::move(options));
  {
    const std::scoped_lock guard(impl->mutex);
    if (Status status = impl->Connect(lock); !status.ok()) return status.error().In(lock.uuid);
  }
  impl->heartbeat = std::thread([raw = impl.get()] { raw->HeartbeatLoop(); });
  return std::unique_ptr<GuestDriver>(new GuestDriver(std::move(impl)));
}

Status GuestDriver::Impl::Connect(const LockedGpu& lock) {
  const auto accepted = [&](link::Mode m) {
    return std::find(options.accepted_modes.begin(), options.accepted_modes.end(), m) != options.accepted_modes.end();
  };
  const link::Registers* registers = memory.registers();
  if (link::Load(registers->magic) != link::kMagic || link::Load(registers->version) != link::kVersion) {
    return Err("link.version", "register window", "is not of a link that this guest knows");
  }
  // Anyone can write the register window: it may only narrow what comes next, and mode off is taken at its word only
  // where the guest accepts it.
  const auto claimed = link::ModeFromWire(link::Load(registers->mode));
  if (!claimed || !accepted(*claimed)) {
    return Err("gpu.mode-refused", "mode",
               "is " + std::string(claimed ? link::ModeName(*claimed) : "unknown") +
                   ", which the pod's initdata does not accept");
  }
  if (*claimed != link::Mode::kOff) {
    requester = std::make_unique<spdm::Requester>(spdm::RequesterConfig{
        .transport = &transport,
        .random = &random,
        .min_version = 0x11,  // its measurements are NVIDIA's report, without anything in front
        .max_version = 0x11,
        .identity = &DriverIdentity(),
        .max_message_size = options.envelope == Envelope::kGsp ? spdm::kGspMaxMessage : spdm::kMaxMessageSize});
    RETURN_IF_ERROR(requester->Connect());
    const auto& chain = requester->chain();
    if (chain.empty() || !EqualConstantTime(crypto::Sha384(chain.back().Der()), lock.device_cert_sha384)) {
      return Err("gpu.swapped", "device certificate",
                 "is not that of the GPU which the platform locked: the board was swapped");
    }
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) chain_pem += it->Pem();
    RETURN_IF_ERROR(requester->StartSession());
    Bytes secret = requester->export_master_secret();
    emk.assign(secret.begin(), secret.begin() + 32);
    Wipe(secret);
    ASSIGN_OR_RETURN(const Bytes started, Rpc(link::RpcOp::kStart, lock.lock_nonce));
  }
  ASSIGN_OR_RETURN(info, QueryInfo());
  mode = info.mode;
  if (mode != *claimed) return Err("gpu.mode-refused", "mode", "is not what the register window says");
  if (info.uuid != lock.uuid)
    return Err("gpu.swapped", "uuid", "is " + info.uuid + ", not that of the GPU which the platform locked");
  ready = mode == link::Mode::kOff;
  return Ok();
}

Result<Bytes> GuestDriver::Impl::Rpc(link::RpcOp op, ByteView arguments) {
  if (lost) return Lost();
  if (!requester) return transport.Rpc(Request(op, arguments));
  ASSIGN_OR_RETURN(const Bytes answer, requester->Vendor(Request(op, arguments)));
  return answer;
}

Result<socket::GpuInfo> GuestDriver::Impl::QueryInfo() {
  ASSIGN_OR_RETURN(const Bytes bytes, Rpc(link::RpcOp::kGetInfo));
  return link::DecodeGpuInfo(bytes);
}

void GuestDriver::Impl::MarkLost(const Error& error) {
  if (lost.exchange(true)) return;
  ready = false;
  for (uint32_t channel = 0; channel < link::kChannels; ++channel) {
    uint32_t& status = memory.control(channel)->status;
    if (link::Load(status) == link::kChannelOpen)
      link::Store(status, link::kChannelLost);  // so that libcuda stops waiting
  }
  if (options.on_lost)
    options.on_lost(Err("gpu.lost", uuid, "stopped answering inside its session (" + error.ToString() + ")"));
}

void GuestDriver::Impl::HeartbeatLoop() {
  std::unique_lock waiting(stop_mutex);
  while (!stop_changed.wait_for(waiting, std::chrono::milliseconds(options.heartbeat_ms), [this] { return stop; })) {
    waiting.unlock();
    std::optional<Error> failure;
    if (!lost) {
      const std::scoped_lock lock(mutex);
      if (requester) {
        if (Status status = requester->Heartbeat(); !status.ok()) failure = status.error();
      } else if (auto answer = QueryInfo(); !answer.ok()) {
        failure = answer.error();
      }
    }
    if (failure) MarkLost(*failure);
    waiting.lock();
    if (lost) return;
  }
}

link::Mode GuestDriver::mode() const { return impl_->mode; }
const std::string& GuestDriver::uuid() const { return impl_->uuid; }
bool GuestDriver::lost() const { return impl_->lost; }
bool GuestDriver::ready() const { return impl_->ready; }
int GuestDriver::link_fd() const { return impl_->memory.fd(); }

Result<socket::GpuInfo> GuestDriver::Info() {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->lost) {
    if (auto fresh = impl_->QueryInfo(); fresh.ok()) {
      impl_->info = std::move(*fresh);
    } else if (MeansLost(fresh.error())) {
      impl_->MarkLost(fresh.error());
    }
  }
  socket::GpuInfo info = impl_->info;
  info.lost = impl_->lost;
  if (info.lost) info.ready = false;
  return info;
}

Result<Evidence> GuestDriver::Attest(ByteView nonce32) {
  if (nonce32.size() != 32) return Err("gpu.bad-nonce", impl_->uuid, "the nonce must have 32 bytes");
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->requester) return Err("gpu.mode-off", impl_->uuid, "is in mode off: it has no evidence to give");
  if (impl_->lost) return impl_->Lost();
  ASSIGN_OR_RETURN(Bytes report, impl_->requester->GetMeasurements(nonce32));
  return Evidence{std::move(report), impl_->chain_pem};
}

Result<std::string> GuestDriver::ChainPem() {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->requester) return Err("gpu.mode-off", impl_->uuid, "is in mode off: it has no evidence to give");
  return impl_->chain_pem;
}

Status GuestDriver::SetReady(bool ready) {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->requester) return Err("gpu.mode-off", impl_->uuid, "is in mode off: it has no ready state");
  const uint8_t value = ready ? 1 : 0;
  ASSIGN_OR_RETURN(const Bytes answer, impl_->Rpc(link::RpcOp::kSetReady, ByteView(&value, 1)));
  impl_->ready = ready;
  return Ok();
}

Result<socket::ChannelGrant> GuestDriver::OpenChannel() {
  const std::scoped_lock lock(impl_->mutex);
  ASSIGN_OR_RETURN(const Bytes bytes, impl_->Rpc(link::RpcOp::kOpenChannel));
  ASSIGN_OR_RETURN(const link::ChannelOffer offer, link::DecodeChannelOffer(bytes));
  // The mode decides how records are protected, not the device's word for this one channel.
  if (offer.protection != link::ProtectionOf(impl_->mode))
    return Err("gpu.mode-refused", impl_->uuid, "offers a channel with another protection than its mode");
  socket::ChannelGrant grant;
  grant.channel = offer.channel;
  grant.protection = offer.protection;
  const bool clear = offer.protection == link::Protection::kClear;
  grant.h2d = link::KeyOf(offer, false, clear ? ByteView() : ByteView(impl_->emk));
  grant.d2h = link::KeyOf(offer, true, clear ? ByteView() : ByteView(impl_->emk));
  return grant;
}

Status GuestDriver::CloseChannel(uint32_t channel) {
  Writer arguments;
  arguments.U32(channel);
  const std::scoped_lock lock(impl_->mutex);
  ASSIGN_OR_RETURN(const Bytes answer, impl_->Rpc(link::RpcOp::kCloseChannel, arguments.bytes()));
  return Ok();
}

}  // namespace ccgpu::driver
