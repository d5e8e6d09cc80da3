// Test-only: a secure processor on a temporary socket with GPUs that only remember who locked them, and the shim's side
// of it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "base/clock.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/identity/snp_identity.h"
#include "gpu-emulator/platform/platform_server.h"

namespace ccgpu::emulator::test {

// GPUs "g0" .. "g3".
class FakeGpus final : public GpuPool {
 public:
  Result<std::vector<LockedGpu>> Lock(const std::string& sandbox_id, const std::vector<std::string>& uuids) override;
  void Release(const std::string& sandbox_id) override;
  std::vector<CollateralItem> Collateral(const std::vector<std::string>& uuids) override;
  std::string HolderOf(const std::string& uuid);
  bool WaitUntilFree(const std::string& uuid);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> holders_;
};

// The chip is made once per test program: RSA-4096 keys take seconds.
const SnpIdentity& TestChip();

// The shim's side of one sandbox.
class Client {
 public:
  explicit Client(const std::string& socket_path);
  FrameStream& stream() { return *stream_; }
  void Close() { stream_.reset(); }

  struct Image {
    std::string name;
    std::string path;
  };
  static Image TestGuest();
  platform::v1::LaunchRequest request;  // to be changed before Launch; sandbox_id "s1", host_data 32 x 0x11
  std::vector<Image> images;            // starts with guestd = the test guest
  std::vector<std::string> channels = {"task"};
  int network_namespace = -1;

  // Launched or Failure.
  Result<platform::v1::Frame> Launch();
  // One command to the guest, its answer.
  std::string Tell(const std::string& command);
  Result<platform::v1::Frame> Next(std::chrono::milliseconds timeout = std::chrono::seconds(10));

 private:
  std::unique_ptr<FrameStream> stream_;
  Fd task_;
  std::vector<Fd> others_;
};

}  // namespace ccgpu::emulator::test
