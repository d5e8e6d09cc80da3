// guestd's line to the secure processor: what it was given at launch, and what it may ask.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "shim/channel/platform_channel.h"

namespace ccgpu::shim {

inline constexpr int kPlatformFd = 3;

struct GuestGpu {
  uint32_t index = 0;
  std::string uuid;
  Bytes lock_nonce;
  Bytes device_cert_sha384;
  Fd link;
};

struct Launch {
  std::string sandbox_id;
  // What was measured at launch (HOST_DATA, MRCONFIGID), whatever the host says now: 32 bytes, the secure processor's
  // own word, which only this guest hears.
  Bytes host_data;
  std::vector<GuestGpu> gpus;
  std::map<std::string, Fd> channels;  // by name
  std::map<std::string, Fd> images;    // sealed, by name
};

// Thread-safe after Begin.
class PlatformLink {
 public:
  explicit PlatformLink(Fd fd) : channel_(std::move(fd)) {}
  // Reads the parameters that the secure processor sends first, and takes the descriptors they speak of.
  Result<Launch> Begin();
  // Lets the secure processor serve configfs-tsm's files over a mounted FUSE connection.
  Status ServeTsm(Fd fuse);

 private:
  std::mutex mutex_;
  PlatformChannel channel_;
};

}  // namespace ccgpu::shim
