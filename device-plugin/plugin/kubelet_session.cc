#include "device-plugin/plugin/kubelet_session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/rpc/client.h"
#include "base/rpc/server.h"
#include "device-plugin/api/pluginregistration.pb.h"
#include "device-plugin/plugin/pod_resources.h"

namespace ccgpu::deviceplugin {
namespace {

constexpr std::chrono::milliseconds kRegisterTimeout{10000};
constexpr char kKubeletSocket[] = "kubelet.sock";
// Soon, and once more for a kubelet that was slow to notice.
constexpr std::chrono::milliseconds kAfterAnother[] = {std::chrono::milliseconds(100), std::chrono::milliseconds(1500)};

std::string UniqueSocketName() {
  std::random_device random;
  char name[32];
  std::snprintf(name, sizeof name, "ccgpu-%08x.sock",
                random());  // short: sun_path has 108 bytes for it and its folder
  return name;
}

bool StatSocket(const std::string& path, uint64_t* inode, int64_t* ctime_ns) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  *inode = info.st_ino;
  // Inode numbers are used again at once on some filesystems; the time of creation is not.
  *ctime_ns = info.st_ctim.tv_sec * 1000000000LL + info.st_ctim.tv_nsec;
  return true;
}

// What the kubelet's plugin watcher asks of a socket that it found.
void RegisterWatcherMethods(rpc::Server& server, const std::string& resource, Metrics& metrics) {
  const std::string service = "/pluginregistration.Registration/";
  server.Unary<pluginregistration::InfoRequest, pluginregistration::PluginInfo>(
      service + "GetInfo", [resource](const auto&, pluginregistration::PluginInfo* info, const rpc::ServerCall&) {
        info->set_type("DevicePlugin");
        info->set_name(resource);
        info->add_supported_versions("v1beta1");
        return rpc::Outcome::Ok();
      });
  server.Unary<pluginregistration::RegistrationStatus, pluginregistration::RegistrationStatusResponse>(
      service + "NotifyRegistrationStatus",
      [&metrics](const pluginregistration::RegistrationStatus& status, auto*, const rpc::ServerCall&) {
        metrics.registered = status.plugin_registered();
        (status.plugin_registered() ? metrics.registrations_ok : metrics.registrations_failed)++;
        if (status.plugin_registered()) {
          log::Info("the kubelet registered us", {{"mode", "watcher"}});
        } else {
          log::Error("the kubelet refused our registration", {{"why", status.error()}});
        }
        return rpc::Outcome::Ok();
      });
}

}  // namespace

class KubeletSession::Generation {
 public:
  Generation(const SessionOptions& options, DeviceTable& table, Metrics& metrics)
      : path(options.dir + "/" + UniqueSocketName()), plugin_(table, metrics, options.service) {
    plugin_.RegisterWith(server_);
    if (options.mode == RegistrationMode::kWatcher) RegisterWatcherMethods(server_, options.resource_name, metrics);
    serving = server_.Serve(path);
  }
  ~Generation() {
    plugin_.Stop();
    server_.Stop();
  }

  const std::string path;
  Status serving;

 private:
  PluginService plugin_;
  rpc::Server server_;
};

KubeletSession::KubeletSession(SessionOptions options, DeviceTable& table, Metrics& metrics)
    : options_(std::move(options)),
      table_(table),
      metrics_(metrics),
      stop_event_(::eventfd(0, EFD_CLOEXEC)),
      lost_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  options_.service.on_stream_lost = [this] {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(lost_event_.get(), &one, sizeof one);
  };
}

KubeletSession::~KubeletSession() { Stop(); }

void KubeletSession::Start() {
  thread_ = std::thread([this] { Run(); });
}

void KubeletSession::Stop() {
  stopping_ = true;
  const uint64_t one = 1;
  if (::write(stop_event_.get(), &one, sizeof one) < 0) return;
  if (thread_.joinable()) thread_.join();
}

std::string KubeletSession::socket() const {
  std::lock_guard lock(mutex_);
  return generation_ ? generation_->path : "";
}

void KubeletSession::Watch() {
  inotify_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (::inotify_add_watch(inotify_.get(), options_.dir.c_str(),
                          IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF) < 0) {
    log::Warning("cannot watch the kubelet's folder; looking at it from time to time",
                 {{"dir", options_.dir}, {"errno", std::to_string(errno)}});
  }
}

void KubeletSession::WaitForChange(std::chrono::milliseconds timeout) {
  pollfd fds[3] = {{stop_event_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}, {lost_event_.get(), POLLIN, 0}};
  if (::poll(fds, 3, static_cast<int>(timeout.count())) <= 0 || fds[1].revents == 0) return;
  alignas(inotify_event) char buffer[8192];
  bool again = false;
  ssize_t got;
  while ((got = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_Q_OVERFLOW)) again = true;
      if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) && event->len > 0) NoteGone(event->name);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  if (again) Watch();
}

// Another plugin's socket went: an older instance of ours, or somebody's who offered GPUs under our name. The kubelet
// will see the end of that stream in a moment, if it has not yet, and takes our GPUs away with the other's.
void KubeletSession::NoteGone(const std::string& name) {
  if (!name.ends_with(".sock") || name == kKubeletSocket) return;
  if (generation_ && generation_->path.ends_with("/" + name)) return;
  const auto now = std::chrono::steady_clock::now();
  for (const auto later : kAfterAnother) register_again_at_.insert(now + later);
}

bool KubeletSession::TimeToRegisterAgain() {
  const auto now = std::chrono::steady_clock::now();
  bool due = false;
  while (!register_again_at_.empty() && *register_again_at_.begin() <= now) {
    register_again_at_.erase(register_again_at_.begin());
    due = true;
  }
  return due;
}

// Asked again soon when a GPU is missing: one that just became healthy may still be on its way to the kubelet.
bool KubeletSession::WasForgotten() {
  const auto now = std::chrono::steady_clock::now();
  if (options_.pod_resources_socket.empty() || now < ask_known_at_) return false;
  ask_known_at_ = now + options_.known_interval;
  const auto known = DevicesOfKubelet(options_.pod_resources_socket, options_.resource_name);
  if (!known.ok()) {
    log::Debug("cannot ask which GPUs the kubelet knows", {{"why", known.error().ToString()}});
    return false;
  }
  const auto devices = table_.Get();
  const auto missing =
      std::ranges::find_if(devices->gpus, [&](const GpuView& gpu) { return gpu.healthy && !known->contains(gpu.id); });
  const bool before = std::exchange(gpus_were_missing_, missing != devices->gpus.end());
  if (!gpus_were_missing_) return false;
  if (!before) {
    ask_known_at_ = now + options_.check_interval;
    return false;
  }
  gpus_were_missing_ = false;
  log::Warning("the kubelet does not know our GPUs any more; registering again",
               {{"gpu", missing->id}, {"known", known->empty() ? "none" : *known->begin()}});
  metrics_.forgotten++;
  return true;
}

bool KubeletSession::StreamWasLost() {
  uint64_t times = 0;
  return ::read(lost_event_.get(), &times, sizeof times) == sizeof times;
}

bool KubeletSession::OwnSocketIsThere() const {
  struct stat info;
  return generation_ && ::stat(generation_->path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

bool KubeletSession::KubeletIsTheSame() const {
  uint64_t inode = 0;
  int64_t ctime_ns = 0;
  if (!StatSocket(options_.dir + "/" + kKubeletSocket, &inode, &ctime_ns))
    return true;  // none now; the next one will differ
  return inode == kubelet_inode_ && ctime_ns == kubelet_ctime_ns_;
}

Status KubeletSession::Register() {
  const std::string kubelet = options_.dir + "/" + kKubeletSocket;
  uint64_t inode = 0;
  int64_t ctime_ns = 0;
  if (!StatSocket(kubelet, &inode, &ctime_ns))
    return Err("plugin.no-kubelet", kubelet, "is not there; waiting for the kubelet");
  v1beta1::RegisterRequest request;
  request.set_version("v1beta1");
  request.set_endpoint(generation_->path.substr(generation_->path.rfind('/') + 1));
  request.set_resource_name(options_.resource_name);
  *request.mutable_options() = PluginOptions();
  v1beta1::Empty response;
  const auto outcome =
      rpc::Client(kubelet).Call("/v1beta1.Registration/Register", request, &response, kRegisterTimeout);
  if (!outcome.ok()) return Err("plugin.register-refused", kubelet, outcome.message);
  // Seen before the call: a kubelet that was replaced meanwhile is registered with again.
  kubelet_inode_ = inode;
  kubelet_ctime_ns_ = ctime_ns;
  return Ok();
}

void KubeletSession::Run() {
  using std::chrono::milliseconds;
  bool registered = false;
  milliseconds pause{50};
  if (auto made = MakeDirs(options_.dir); !made.ok())
    log::Error("no folder to serve in", {{"why", made.error().ToString()}});
  Watch();
  while (!stopping_) {
    if (!OwnSocketIsThere()) {
      registered = metrics_.registered = false;
      auto next = std::make_unique<Generation>(options_, table_, metrics_);
      if (!next->serving.ok()) {
        log::Error("cannot serve", {{"socket", next->path}, {"why", next->serving.error().ToString()}});
        next.reset();
      }
      std::lock_guard lock(mutex_);
      generation_ = std::move(next);
    }
    if (options_.mode == RegistrationMode::kRegister && generation_) {
      if (StreamWasLost() || TimeToRegisterAgain() || !KubeletIsTheSame() || (registered && WasForgotten()))
        registered = false;
      if (!registered) {
        auto status = Register();
        registered = status.ok();
        (registered ? metrics_.registrations_ok : metrics_.registrations_failed)++;
        metrics_.registered = registered;
        if (registered) {
          log::Info("registered", {{"resource", options_.resource_name}, {"socket", generation_->path}});
        } else {
          log::Debug("not registered yet", {{"why", status.error().ToString()}});
        }
      }
    }
    const bool settled = generation_ && (registered || options_.mode == RegistrationMode::kWatcher);
    pause = settled ? milliseconds(50) : std::min(pause * 2, options_.check_interval);
    WaitForChange(!settled ? pause : register_again_at_.empty() ? options_.check_interval : kAfterAnother[0]);
  }
  std::lock_guard lock(mutex_);
  generation_.reset();
}

}  // namespace ccgpu::deviceplugin
