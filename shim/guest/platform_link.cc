#include "shim/guest/platform_link.h"

#include <fcntl.h>

namespace ccgpu::shim {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);
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
  if (params.host_data().size() != kHostDataSize)
    return Err("platform.bad-params", "host_data",
               "expected 32 bytes, found " + std::to_string(params.host_data().size()));
  Launch launch;
  launch.sandbox_id = params.sandbox_id();
  launch.host_data = ToBytes(AsBytes(params.host_data()));
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

Status PlatformLink::ServeTsm(Fd fuse) {
  std::lock_guard lock(mutex_);
  platform::v1::Frame frame;
  frame.mutable_tsm();
  ASSIGN_OR_RETURN(PlatformFrame answer, channel_.Ask(frame, {fuse.get()}, kTimeout));
  if (!answer.frame.has_tsm_ready()) return Err("platform.bad-params", "tsm", "expected TsmResponse");
  return Ok();
}

}  // namespace ccgpu::shim
