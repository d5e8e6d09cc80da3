#include "shim/host/guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "shim/api/names.h"
#include "shim/channel/fd_socket.h"

namespace ccgpu::shim {
namespace {

constexpr auto kLaunchTimeout = std::chrono::seconds(60);  // several GPUs are locked and the image is measured

struct ImageFile {
  const char* name;
  std::vector<const char*> found_as;
  bool required;
};

std::string OwnFolder() {
  char path[4096];
  ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  std::string text(path, size > 0 ? static_cast<size_t>(size) : 0);
  return text.substr(0, text.rfind('/'));
}

// Always all files that are there, whatever this pod needs: the measurement must not depend on the pod.
Result<std::vector<std::pair<std::string, Fd>>> OpenImage(const std::string& configured) {
  std::string folder = configured.empty() ? OwnFolder() : configured;
  const ImageFile files[] = {{"guestd", {"guestd", "ccgpu-guestd"}, true},
                             {"agent", {"agent", "ccgpu-agent"}, false},
                             {"libcuda.so.1", {"libcuda.so.1"}, false},
                             {"libnvidia-ml.so.1", {"libnvidia-ml.so.1"}, false}};
  std::vector<std::pair<std::string, Fd>> out;
  for (const auto& file : files) {
    Fd fd;
    for (const char* name : file.found_as) {
      if (!fd.valid()) fd = Fd(::open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    }
    if (fd.valid()) out.emplace_back(file.name, std::move(fd));
    else if (file.required)
      return Err("shim.no-guest-image", folder,
                 std::string("no file ") + file.name + "; set guest_image to the folder that has it");
  }
  return out;
}

}  // namespace

Guest::Guest(ttrpc::Loop& loop, PlatformChannel platform, Fd task, Fd pids, Fd log, GuestCallbacks callbacks)
    : loop_(loop),
      platform_(std::move(platform)),
      client_(ttrpc::Client::FromFd(std::move(task))),
      pids_(std::move(pids)),
      log_(std::move(log)),
      callbacks_(std::move(callbacks)) {}

Result<std::unique_ptr<Guest>> Guest::Launch(const Config& config, const LaunchPlan& plan, ttrpc::Loop& loop,
                                             GuestCallbacks callbacks) {
  ASSIGN_OR_RETURN(auto image, OpenImage(config.guest_image));
  ASSIGN_OR_RETURN(auto task, SocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(auto host, SocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(auto pids, SocketPair(SOCK_SEQPACKET));
  ASSIGN_OR_RETURN(auto log, SocketPair(SOCK_STREAM));
  RETURN_IF_ERROR(WantCredentials(pids.first.get()));
  std::string netns_path = plan.netns.empty() ? "/proc/self/ns/net" : plan.netns;
  Fd netns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns.valid()) return ErrnoError("shim.netns", "open the network namespace", netns_path);

  platform::v1::Frame frame;
  auto* launch = frame.mutable_launch();
  launch->set_sandbox_id(plan.sandbox_id);
  launch->set_host_data(plan.host_data);
  launch->set_hostname(plan.hostname);
  launch->set_has_netns(true);
  std::vector<int> fds;
  for (const auto& [name, fd] : image) {
    launch->add_image_files(name);
    fds.push_back(fd.get());
  }
  const std::pair<const char*, int> channels[] = {{kChannelTask, task.second.get()},
                                                  {kChannelHost, host.second.get()},
                                                  {kChannelPids, pids.second.get()},
                                                  {kChannelLog, log.second.get()}};
  for (const auto& [name, fd] : channels) {
    launch->add_channels(name);
    fds.push_back(fd);
  }
  fds.push_back(netns.get());
  for (const auto& uuid : plan.gpu_uuids) launch->add_gpu_uuids(uuid);

  ASSIGN_OR_RETURN(PlatformChannel platform, PlatformChannel::Connect(config.platform_socket));
  ASSIGN_OR_RETURN(PlatformFrame answer, platform.Ask(frame, fds, kLaunchTimeout));
  if (!answer.frame.has_launched())
    return Err("platform.bad-answer", config.platform_socket, "expected LaunchResponse");
  std::unique_ptr<Guest> guest(new Guest(loop, std::move(platform), std::move(task.first), std::move(pids.first),
                                         std::move(log.first), std::move(callbacks)));
  guest->pid_ = answer.frame.launched().guest_pid();
  for (const auto& item : answer.frame.launched().collateral()) {
    v1::Collateral copy;
    copy.set_kind(item.kind());
    copy.set_id(item.id());
    copy.set_data(item.data());
    guest->collateral_.push_back(std::move(copy));
  }
  guest->pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, guest->pid_, 0)));
  guest->Watch(std::move(host.first));
  return guest;
}

void Guest::Watch(Fd host) {
  ttrpc::ServerOptions options;
  options.max_workers = 1;  // the guest's calls come one at a time, and their order matters
  host_server_ = std::make_unique<ttrpc::Server>(options);
  host_server_->On<v1::ExitedRequest, v1::Empty>(
      kHostService, "Exited", [this](const v1::ExitedRequest& request, const ttrpc::CallContext&) -> Result<v1::Empty> {
        callbacks_.on_exited(request);
        return v1::Empty();
      });
  host_server_->On<v1::EventRequest, v1::Empty>(
      kHostService, "Event", [this](const v1::EventRequest& request, const ttrpc::CallContext&) -> Result<v1::Empty> {
        callbacks_.on_event(request);
        return v1::Empty();
      });
  (void)host_server_->ServeFd(std::move(host));
  loop_.Add(platform_.fd(), EPOLLIN, [this](ttrpc::Loop::Events) { OnPlatform(); });
  loop_.Add(log_.get(), EPOLLIN, [this](ttrpc::Loop::Events) { OnLog(); });
}

Guest::~Guest() {
  loop_.Remove(platform_.fd());
  loop_.Remove(log_.get());
  host_server_->Stop();
}

// The only thing that the secure processor says now is that the guest has ended; or the connection ends with it.
void Guest::OnPlatform() {
  auto frame = platform_.Receive();
  int status = 128 + SIGKILL;
  if (frame.ok() && frame->frame.has_exited())
    status = frame->frame.exited().status() + (frame->frame.exited().signaled() ? 128 : 0);
  loop_.Remove(platform_.fd());
  if (gone_.exchange(true)) return;
  client_.Close();
  callbacks_.on_gone(status);
}

void Guest::OnLog() {
  char buffer[4096];
  ssize_t count = ::recv(log_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (count > 0) {
    [[maybe_unused]] ssize_t written = ::write(2, buffer, static_cast<size_t>(count));
  } else if (count == 0) {
    loop_.Remove(log_.get());
  }
}

ttrpc::Reply Guest::CallRaw(const char* method, std::string payload, std::chrono::milliseconds timeout) {
  if (gone_) return ttrpc::Reply::Fail(ttrpc::Code::kUnavailable, Err("sandbox.gone", "", "the sandbox has ended"));
  ttrpc::Reply reply = client_.CallRaw(kGuestService, method, std::move(payload), timeout);
  if (reply.code == ttrpc::Code::kUnavailable)
    return ttrpc::Reply::Fail(ttrpc::Code::kUnavailable,
                              Err("sandbox.gone", method, "the sandbox ended during this call"));
  return reply;
}

Result<uint64_t> Guest::SendStreams(const std::vector<int>& fds) {
  if (fds.empty()) return uint64_t{0};
  uint64_t token = NewToken();
  RETURN_IF_ERROR(
      SendFdMessage(pids_.get(), std::string_view(reinterpret_cast<const char*>(&token), sizeof token), fds));
  return token;
}

pid_t Guest::TakePid(uint64_t token) {
  std::lock_guard lock(pids_mutex_);
  for (;;) {
    auto message = ReceiveFdMessage(pids_.get(), sizeof(uint64_t), false);
    if (!message.ok()) break;
    uint64_t told = 0;
    if (message->data.size() == sizeof told) std::memcpy(&told, message->data.data(), sizeof told);
    told_[told] = message->sender;
  }
  auto it = told_.find(token);
  if (it == told_.end()) return 0;
  pid_t pid = it->second;
  told_.erase(it);
  return pid;
}

void Guest::Kill() {
  // By pidfd: the number may be another's by now. If there is none, the end of the connection does it.
  if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  else ::shutdown(platform_.fd(), SHUT_RDWR);
}

}  // namespace ccgpu::shim
