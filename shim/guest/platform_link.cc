#include "shim/guest/platform_link.h"

#include <fcntl.h>

namespace ccgpu::shim {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);
// SEV-SNP firmware ABI, ATTESTATION_REPORT: HOST_DATA is 32 bytes at C0h of 4A0h.
constexpr size_t kReportSize = 0x4a0;
constexpr size_t kHostDataOffset = 0xc0;
constexpr size_t kHostDataSize = 32;

Result<Fd> Take(int fd) {
  if (fd <= kPlatformFd || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return Err("platform.bad-params", "descriptor " + std::to_string(fd),
               "the secure processor named a descriptor that is not open");
  return Fd(fd);
}

}  // namespace

Result<Launch> PlatformLink::Begin() {
  ::fcntl(channel_.fd(), F_SETFD, FD_CLOEXEC);
  ASSIGN_OR_RETURN(PlatformFrame first, channel_.Receive(kTimeout));
  if (!first.frame.has_params())
    return Err("platform.bad-params", "", "expected GuestParams as the first frame from the secure processor");
  const auto& params = first.frame.params();
  if (static_cast<size_t>(params.gpus_size()) != first.fds.size())
    return Err("platform.bad-params", "gpus", "expected one link memory per GPU");
  Launch launch;
  launch.sandbox_id = params.sandbox_id();
  for (int i = 0; i < params.gpus_size(); ++i) {
    const auto& gpu = params.gpus(i);
    launch.gpus.push_back(GuestGpu{gpu.index(), gpu.uuid(), ToBytes(AsBytes(gpu.lock_nonce())),
                                   ToBytes(AsBytes(gpu.device_cert_sha384())),
                                   std::move(first.fds[static_cast<size_t>(i)])});
  }
  for (int i = 0; i < params.channels_size(); ++i) {
    ASSIGN_OR_RETURN(launch.channels[params.channels(i)], Take(params.channel_fd_base() + i));
  }
  for (int i = 0; i < params.image_files_size(); ++i) {
    ASSIGN_OR_RETURN(launch.images[params.image_files(i)], Take(params.image_fd_base() + i));
  }
  return launch;
}

Result<Bytes> PlatformLink::HostData() {
  std::lock_guard lock(mutex_);
  platform::v1::Frame frame;
  frame.mutable_report()->set_report_data(std::string(64, '\0'));
  ASSIGN_OR_RETURN(PlatformFrame answer, channel_.Ask(frame, {}, kTimeout));
  const std::string& report = answer.frame.reported().report();
  if (report.size() != kReportSize)
    return Err("platform.bad-report", "", "expected a report of 1184 bytes, found " + std::to_string(report.size()));
  return ToBytes(AsBytes(report).subspan(kHostDataOffset, kHostDataSize));
}

Status PlatformLink::ServeTsm(Fd fuse) {
  std::lock_guard lock(mutex_);
  platform::v1::Frame frame;
  frame.mutable_tsm();
  ASSIGN_OR_RETURN(PlatformFrame answer, channel_.Ask(frame, {fuse.get()}, kTimeout));
  if (!answer.frame.has_tsm_ready()) return Err("platform.bad-params", "tsm", "expected TsmResponse");
  return Ok();
}

}  // namespace ccgpu::shim
