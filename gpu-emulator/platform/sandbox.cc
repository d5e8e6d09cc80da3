#include "gpu-emulator/platform/sandbox.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"

namespace ccgpu::emulator {
namespace {

using platform::v1::Frame;
using platform::v1::LaunchRequest;

constexpr auto kLaunchDeadline = std::chrono::seconds(10);
constexpr int kPlatformFd = 3;  // the guest's end of its channel to us
constexpr size_t kMaxGpus = 64, kMaxNames = 16, kMaxIdSize = 253;

// Words that become path parts, host names or environment further on.
bool IsPlainName(const std::string& name, size_t limit) {
  return !name.empty() && name.size() <= limit && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_'; });
}

template <class Names>
bool AreDistinctPlainNames(const Names& names) {
  std::set<std::string> seen;
  return std::all_of(names.begin(), names.end(),
                     [&](const std::string& name) { return IsPlainName(name, 64) && seen.insert(name).second; });
}

}  // namespace

void Sandbox::Run() {
  auto request = shim_.Receive(kLaunchDeadline);
  if (!request.ok()) {
    if (request.error().code != "platform.closed") (void)shim_.SendFailure(request.error());
    return;
  }
  ++parts_.running;
  Status launched = Launch(std::move(*request));
  if (launched.ok()) {
    ++parts_.launched;
    log::Info("guest started", {{"sandbox", id_}, {"pid", std::to_string(guest_->pid())}});
    if (!Supervise()) guest_->Kill();
  } else {
    ++parts_.refused.With({launched.error().code});
    log::Warning("launch refused",
                 {{"sandbox", id_}, {"code", launched.error().code}, {"text", launched.error().text}});
    if (guest_) guest_->Kill();  // it started, but nobody could be told
  }
  const GuestProcess::ExitStatus exit_status = Finish();
  if (launched.ok()) {
    Frame frame;
    frame.mutable_exited()->set_status(exit_status.status);
    frame.mutable_exited()->set_signaled(exit_status.signaled);
    (void)shim_.Send(frame);
  } else {
    (void)shim_.SendFailure(launched.error());
  }
  --parts_.running;
}

Status Sandbox::Launch(ReceivedFrame received) {
  if (!received.frame.has_launch()) {
    return Err("platform.unexpected-frame", "platform socket",
               "the first frame of a connection must be a LaunchRequest");
  }
  const LaunchRequest& request = received.frame.launch();
  RETURN_IF_ERROR(CheckRequest(request));
  if (!parts_.Enter(request.sandbox_id())) {
    return Err("platform.sandbox-exists", request.sandbox_id(), "a sandbox of this id runs; wait for its Exited");
  }
  id_ = request.sandbox_id();
  ASSIGN_OR_RETURN(gpus_, parts_.gpus->Lock(id_, {request.gpu_uuids().begin(), request.gpu_uuids().end()}));
  std::vector<evidence::MeasuredFile> measured;
  for (int i = 0; i < request.image_files_size(); ++i) {
    ASSIGN_OR_RETURN(auto image,
                     parts_.images.Seal(request.image_files(i), received.fds[static_cast<size_t>(i)].get()));
    measured.push_back(image->measured);
    images_.push_back(std::move(image));
  }
  const Bytes measurement = evidence::MeasureLaunch(measured);
  reporter_ = parts_.cpu->Launched({measurement, ToBytes(AsBytes(request.host_data()))}, *parts_.random);
  RETURN_IF_ERROR(StartGuest(request, std::move(received.fds)));

  Frame answer;
  auto* launched = answer.mutable_launched();
  launched->set_guest_pid(guest_->pid());
  launched->set_measurement(ToText(measurement));
  for (const CollateralItem& item : parts_.gpus->Collateral({request.gpu_uuids().begin(), request.gpu_uuids().end()})) {
    auto* collateral = launched->add_collateral();
    collateral->set_kind(item.kind);
    collateral->set_id(item.id);
    collateral->set_data(ToText(item.data));
  }
  return shim_.Send(answer);
}

Status Sandbox::CheckRequest(const LaunchRequest& request) const {
  auto bad = [&](std::string field, std::string text) {
    return Err("platform.bad-launch", std::move(field), std::move(text));
  };
  if (!IsPlainName(request.sandbox_id(), kMaxIdSize))
    return bad("sandbox_id", "expected letters, digits, '.', '-' and '_', at most 253");
  if (request.host_data().size() != 32)
    return bad("host_data", "expected 32 bytes, found " + std::to_string(request.host_data().size()));
  if (request.image_files_size() == 0 || request.image_files(0) != "guestd") {
    return bad("image_files", "the first image file must be guestd, which is executed");
  }
  if (request.image_files_size() > static_cast<int>(kMaxNames) || !AreDistinctPlainNames(request.image_files())) {
    return bad("image_files", "expected at most 16 distinct plain names");
  }
  if (request.channels_size() > static_cast<int>(kMaxNames) || !AreDistinctPlainNames(request.channels())) {
    return bad("channels", "expected at most 16 distinct plain names");
  }
  if (request.gpu_uuids_size() > static_cast<int>(kMaxGpus)) return bad("gpu_uuids", "more than 64 GPUs");
  if (!request.hostname().empty() && !IsPlainName(request.hostname(), 64))
    return bad("hostname", "not a host name of at most 64 characters");
  return Ok();
}

Status Sandbox::StartGuest(const LaunchRequest& request, std::vector<Fd> fds) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return ErrnoError("platform.exec-failed", "cannot make", "a socket pair");
  guest_channel_ = std::make_unique<FrameStream>(Fd(ends[0]));
  Fd guest_end(ends[1]);

  const size_t image_count = images_.size(), channel_count = static_cast<size_t>(request.channels_size());
  GuestSpec spec;
  spec.executable = images_[0]->fd.get();
  spec.argv0 = "ccgpu-guestd";
  spec.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CCGPU_SANDBOX_ID=" + id_};
  if (log::CurrentFormat() == log::Format::kJson)
    spec.environment.push_back(std::string(log::kFormatVariable) + "=json");
  spec.mount_namespace = peer_mount_namespace_.get();
  spec.network_namespace = request.has_netns() ? fds[image_count + channel_count].get() : -1;
  spec.hostname = request.hostname().empty() ? "ccgpu" : request.hostname();
  spec.descriptors = {guest_end.get()};
  Frame frame;
  auto* params = frame.mutable_params();
  params->set_sandbox_id(id_);
  params->set_host_data(request.host_data());
  params->set_channel_fd_base(kPlatformFd + 1);
  params->set_image_fd_base(kPlatformFd + 1 + static_cast<int>(channel_count));
  for (size_t i = 0; i < channel_count; ++i) {
    spec.descriptors.push_back(fds[image_count + i].get());
    params->add_channels(request.channels(static_cast<int>(i)));
    if (request.channels(static_cast<int>(i)) == "log") spec.log = fds[image_count + i].get();
  }
  for (const auto& image : images_) {
    spec.descriptors.push_back(image->fd.get());
    params->add_image_files(image->measured.name);
  }
  std::vector<int> links;
  for (const LockedGpu& gpu : gpus_) {
    auto* locked = params->add_gpus();
    locked->set_index(gpu.index);
    locked->set_uuid(gpu.uuid);
    locked->set_lock_nonce(ToText(gpu.lock_nonce));
    locked->set_device_cert_sha384(ToText(gpu.device_cert_sha384));
    locked->set_lock_count(gpu.lock_count);
    links.push_back(gpu.link.get());
  }
  ASSIGN_OR_RETURN(GuestProcess guest, GuestProcess::Start(spec));
  guest_ = std::make_unique<GuestProcess>(std::move(guest));
  return guest_channel_->Send(frame, links);
}

bool Sandbox::Supervise() {
  for (;;) {
    pollfd p[4] = {{guest_->pidfd(), POLLIN, 0},
                   {stop_, POLLIN, 0},
                   {shim_.fd(), POLLIN, 0},
                   {guest_channel_ ? guest_channel_->fd() : -1, POLLIN, 0}};
    if (poll(p, 4, -1) < 0) continue;  // EINTR
    if (p[0].revents != 0) return true;
    if (p[1].revents != 0) return false;
    if (p[2].revents != 0 && !ServeShim()) return false;
    if (p[3].revents != 0) ServeGuest();
  }
}

// After Launch the peer only waits; its closing ends the guest.
bool Sandbox::ServeShim() {
  auto frame = shim_.TryReceive();
  if (frame.ok() && !*frame) return true;
  if (frame.ok()) {
    (void)shim_.SendFailure(
        Err("platform.unexpected-frame", id_, "a sandbox is launched once; nothing may follow LaunchRequest"));
  } else if (frame.error().code != "platform.closed") {
    (void)shim_.SendFailure(frame.error());
  }
  return false;
}

// A guest that breaks the protocol loses its channel, and with it every further report; nothing else.
void Sandbox::ServeGuest() {
  for (;;) {
    auto frame = guest_channel_->TryReceive();
    if (!frame.ok()) {
      guest_channel_.reset();
      return;
    }
    if (!*frame) return;
    Answer(std::move(**frame));
    if (!guest_channel_) return;
  }
}

void Sandbox::Answer(ReceivedFrame request) {
  Status sent;
  Frame answer;
  if (request.frame.has_report()) {
    auto report = reporter_->Report(AsBytes(request.frame.report().report_data()), request.frame.report().vmpl());
    ++parts_.reports.With({report.ok() ? "ok" : "failed"});
    if (report.ok()) {
      answer.mutable_reported()->set_report(ToText(report->report));
      answer.mutable_reported()->set_cert_table(ToText(report->auxiliary));
      sent = guest_channel_->Send(answer);
    } else {
      sent = guest_channel_->SendFailure(report.error());
    }
  } else if (request.frame.has_tsm()) {
    Result<std::unique_ptr<TsmFuse>> served =
        tsm_ ? Result<std::unique_ptr<TsmFuse>>(
                   Err("platform.bad-fuse", id_, "the report file system is served already"))
             : TsmFuse::Serve(std::move(request.fds[0]), parts_.cpu->tsm_provider(),
                              [this](ByteView data, uint32_t privlevel) {
                                auto report = reporter_->Report(data, privlevel);
                                ++parts_.reports.With({report.ok() ? "ok" : "failed"});
                                return report;
                              });
    if (served.ok()) {
      tsm_ = std::move(*served);
      answer.mutable_tsm_ready();
      sent = guest_channel_->Send(answer);
    } else {
      sent = guest_channel_->SendFailure(served.error());
    }
  } else {
    sent =
        guest_channel_->SendFailure(Err("platform.unexpected-frame", id_, "a guest may ask for Report and Tsm only"));
  }
  if (!sent.ok()) guest_channel_.reset();
}

GuestProcess::ExitStatus Sandbox::Finish() {
  GuestProcess::ExitStatus exit_status;
  if (guest_) {
    exit_status = guest_->Wait();
    log::Info("guest ended", {{"sandbox", id_},
                              {"status", std::to_string(exit_status.status)},
                              {"signaled", exit_status.signaled ? "true" : "false"}});
  }
  tsm_.reset();
  guest_channel_.reset();
  // Only a scrubbed GPU is free, and only then does the peer hear that the sandbox is gone.
  if (!id_.empty()) {
    parts_.gpus->Release(id_);
    parts_.Leave(id_);
  }
  return exit_status;
}

}  // namespace ccgpu::emulator
