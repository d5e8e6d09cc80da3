#include "gpu-emulator/platform/test_machine.h"

#include <fcntl.h>

namespace ccgpu::emulator::test {

Result<std::vector<LockedGpu>> FakeGpus::Lock(const std::string& sandbox_id, const std::vector<std::string>& uuids) {
  std::lock_guard lock(mutex_);
  std::vector<LockedGpu> locked;
  for (const auto& uuid : uuids) {
    if (!holders_[uuid].empty()) return Err("gpu.already-locked", uuid, "held by " + holders_[uuid]);
  }
  for (const auto& uuid : uuids) {
    holders_[uuid] = sandbox_id;
    locked.push_back({static_cast<uint32_t>(locked.size()), uuid, Bytes(32, 7), Bytes(48, 8), 1,
                      Fd(open("/dev/null", O_RDWR | O_CLOEXEC))});
  }
  return locked;
}

void FakeGpus::Release(const std::string& sandbox_id) {
  std::lock_guard lock(mutex_);
  for (auto& [uuid, holder] : holders_) {
    if (holder == sandbox_id) holder.clear();
  }
  changed_.notify_all();
}

std::vector<CollateralItem> FakeGpus::Collateral(const std::vector<std::string>& uuids) {
  std::vector<CollateralItem> items;
  for (const auto& uuid : uuids) items.push_back({"rim", uuid, Bytes(3, 9)});
  return items;
}

std::string FakeGpus::HolderOf(const std::string& uuid) {
  std::lock_guard lock(mutex_);
  return holders_[uuid];
}

bool FakeGpus::WaitUntilFree(const std::string& uuid) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return holders_[uuid].empty(); });
}

const SnpIdentity& TestChip() {
  static const TempDir dir;
  static const SnpIdentity chip = LoadOrMakeSnpIdentity(dir / "amd", SystemClock().Now()).value();
  return chip;
}

Client::Client(const std::string& socket_path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  stream_ = std::make_unique<FrameStream>(std::move(fd));
  request.set_sandbox_id("s1");
  request.set_host_data(std::string(32, '\x11'));
  images = {TestGuest()};
}

Client::Image Client::TestGuest() { return {"guestd", CCGPU_TEST_GUEST}; }

Result<platform::v1::Frame> Client::Launch() {
  std::vector<Fd> fds;
  platform::v1::Frame frame;
  for (const Image& image : images) {
    request.add_image_files(image.name);
    fds.emplace_back(open(image.path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  for (const std::string& channel : channels) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    request.add_channels(channel);
    fds.emplace_back(ends[1]);
    (channel == "task" ? task_ : others_.emplace_back()) = Fd(ends[0]);
  }
  if (network_namespace >= 0) {
    request.set_has_netns(true);
    fds.emplace_back(fcntl(network_namespace, F_DUPFD_CLOEXEC, 3));
  }
  *frame.mutable_launch() = request;
  std::vector<int> raw;
  for (const Fd& fd : fds) raw.push_back(fd.get());
  RETURN_IF_ERROR(stream_->Send(frame, raw));
  return Next();
}

Result<platform::v1::Frame> Client::Next(std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(ReceivedFrame received, stream_->Receive(timeout));
  return received.frame;
}

std::string Client::Tell(const std::string& command) {
  const std::string line = command + "\n";
  if (send(task_.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) return "gone";
  std::string answer;
  char c;
  while (recv(task_.get(), &c, 1, 0) == 1) {
    if (c == '\n') return answer;
    answer += c;
  }
  return "gone";
}

}  // namespace ccgpu::emulator::test
