#include "node-manager/service/manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "base/fd.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kube/names.h"
#include "kube/paths.h"

namespace ccgpu::nodemanager {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStateInterval{10000};  // the device plugin is asked this often
constexpr milliseconds kPodsInterval{2000}, kPodsTrouble{1000};
constexpr auto kRemoveInterval = std::chrono::seconds(60);
constexpr int64_t kHangs = 180;  // seconds without a round: calls end within a few

// Whether anybody accepts on a unix socket.
bool Answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return fd.valid() && ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

ModeOptions ModeOptionsOf(const RunConfig& config) {
  ModeOptions options;
  options.default_mode = config.default_mode;
  options.resource = config.resource;
  options.limits.drain = std::chrono::seconds(config.drain_timeout);
  return options;
}

PodReporterOptions PodOptionsOf(const RunConfig& config) {
  PodReporterOptions options;
  options.events_dir = config.events_dir;
  options.state_file = config.state_dir + "/positions.json";
  options.node = config.node;
  return options;
}

// Seconds that no change of the node's clock touches.
int64_t Beat() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

void Manager::Signal::Set() {
  std::lock_guard lock(mutex_);
  set_ = true;
  wake_.notify_all();
}

void Manager::Signal::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

bool Manager::Signal::Wait(milliseconds at_most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, at_most, [this] { return set_ || stopping_; });
  set_ = false;
  return !stopping_;
}

Manager::Manager(const RunConfig& config, kube::Client& client, const Clock& clock)
    : config_(config),
      client_(client),
      emulator_(ConnectEmulator(config.emulator_socket)),
      node_(client, config.node, clock),
      node_events_(client, config.node, clock),
      state_(node_, node_events_),
      modes_(ModeOptionsOf(config), client, node_, *emulator_, node_events_, clock),
      pods_(PodOptionsOf(config), client, clock),
      folders_(config.events_dir) {
  node_beat_ = pods_beat_ = Beat();
  emulator_watch_ =
      std::make_unique<EmulatorWatch>(config.emulator_socket, [this](const std::optional<std::vector<Gpu>>& gpus) {
        std::lock_guard lock(mutex_);
        gpus_ = gpus;
        gpus_asked_ = true;
        node_signal_.Set();
      });
  node_watcher_ = std::thread([this] { WatchNode(); });
  node_worker_ = std::thread([this] { RunNode(); });
  pods_worker_ = std::thread([this] { RunPods(); });
}

Manager::~Manager() {
  node_signal_.Stop();
  pods_signal_.Stop();
  folders_.Wake();
  client_.Stop();
  node_worker_.join();
  pods_worker_.join();
  if (Leaving()) pods_.Forget();
  node_watcher_.join();
  emulator_watch_.reset();
}

void Manager::WatchNode() {
  kube::CallOptions call;
  call.query = "fieldSelector=metadata.name%3D" + kube::Escape(config_.node);
  kube::WatchHandler handler;
  handler.on_list = [this](const std::vector<Json>& nodes) {
    for (const auto& node : nodes) SawNode(node);
  };
  handler.on_event = [this](const std::string& type, const Json& node) {
    if (type != "DELETED") SawNode(node);
  };
  handler.on_trouble = [](const Error& error) {
    log::Warning("the watch of our Node broke; it goes on", {{"why", error.ToString()}});
  };
  client_.Watch(kube::Core("", "nodes"), call, handler);
}

// kubelet writes the Node's status all the time; only words that are about us wake anybody.
void Manager::SawNode(const Json& node) {
  const Json metadata = node.value("metadata", Json::object());
  const Json spec = node.value("spec", Json::object());
  const Json about_us = {metadata.value("labels", Json()), metadata.value("annotations", Json()),
                         spec.value("taints", Json())};
  const std::string words = about_us.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::lock_guard lock(mutex_);
  if (words == seen_words_) return;
  seen_words_ = words;
  const bool installed = !LabelOf(node, kube::kInstalledLabel).empty();
  // The installer takes its label away when it puts the node back: then ours go too, and stay away.
  if (installed_seen_ && !installed && !leaving_) log::Info("the runtime is uninstalled here; our labels go");
  leaving_ = installed_seen_ && !installed;
  installed_seen_ = installed_seen_ || installed;
  node_signal_.Set();
  if (leaving_) folders_.Wake();
}

NodeFacts Manager::FactsNow() {
  NodeFacts facts;
  {
    std::lock_guard lock(mutex_);
    facts.gpus = gpus_;
  }
  if (facts.gpus) {
    if (auto tee = emulator_->Tee(); tee.ok()) facts.tee = *tee;
  }
  facts.plugin_answers = config_.resolver_socket.empty() || Answers(config_.resolver_socket);
  return facts;
}

void Manager::RunNode() {
  milliseconds pause{0};
  while (node_signal_.Wait(std::min(pause, kStateInterval))) {
    node_beat_ = Beat();
    {
      std::lock_guard lock(mutex_);
      if (!gpus_asked_) {
        pause = kStateInterval;
        continue;
      }
    }
    const Status written = Round(pause);
    std::lock_guard lock(mutex_);
    trouble_ = written.ok() ? "" : written.error().ToString();
    if (!written.ok()) log::Warning("cannot write what this node is", {{"why", trouble_}});
  }
}

// Writes what the node is, or takes it away; `pause`: until when nothing is to do.
Status Manager::Round(milliseconds& pause) {
  std::lock_guard writing(writing_);
  const bool leaving = Leaving();
  const Status written = leaving ? state_.Remove() : state_.Write(FactsNow());
  const bool flushed = node_events_.Flush();
  pause = written.ok() && flushed ? kStateInterval : milliseconds(1000);
  if (written.ok() && !leaving) pause = std::min(pause, modes_.Step());
  return written;
}

void Manager::RunPods() {
  auto removed = std::chrono::steady_clock::now();
  bool all = true;
  while (pods_signal_.Wait(milliseconds(0))) {
    pods_beat_ = Beat();
    if (Leaving()) {
      pods_.Forget();
      folders_.Wait(kPodsInterval);
      continue;
    }
    all = pods_.Step();
    if (all && std::chrono::steady_clock::now() - removed > kRemoveInterval) {
      removed = std::chrono::steady_clock::now();
      pods_.RemoveGone();
    }
    if (all) {
      folders_.Wait(kPodsInterval);
    } else if (!pods_signal_.Wait(kPodsTrouble)) {
      return;
    }
  }
}

bool Manager::Leaving() const {
  std::lock_guard lock(mutex_);
  return leaving_ || left_;
}

void Manager::Leave() {
  auto node = node_.Get();
  if (!node.ok() || LabelOf(*node, kube::kEnabledLabel) == "true") return;
  log::Info("this node is ours no more; our labels go");
  {
    std::lock_guard lock(mutex_);
    left_ = true;
  }
  std::lock_guard writing(writing_);  // after the round that the worker is in the middle of
  if (auto gone = state_.Remove(); !gone.ok()) log::Warning("our labels stay", {{"why", gone.error().ToString()}});
}

std::string Manager::NotReadyBecause() const {
  std::lock_guard lock(mutex_);
  if (!trouble_.empty()) return trouble_;
  return gpus_ ? "" : "the emulator does not answer";
}

std::string Manager::NotAliveBecause() const {
  const int64_t now = Beat();
  if (now - node_beat_ > kHangs) return "the thread that looks after the Node hangs";
  if (now - pods_beat_ > kHangs) return "the thread that tells pods' events hangs";
  return "";
}

std::string Manager::Metrics(const std::string& version) const {
  metrics::Page page;
  metrics::WriteProcess(page, "ccgpu_node_manager", version);
  auto count = [](uint64_t value) { return static_cast<double>(value); };
  page.Head("ccgpu_node_manager_pod_events_total", "counter", "Lines of pods' events, by what became of them.");
  page.Sample({{"result", "reported"}}, count(pods_.reported()));
  page.Sample({{"result", "failed"}}, count(pods_.failed()));
  page.Sample({{"result", "suppressed"}}, count(pods_.suppressed()));
  page.Sample({{"result", "malformed"}}, count(pods_.bad_lines()));
  page.Gauge("ccgpu_node_manager_sandboxes", "Sandboxes whose events are followed.", count(pods_.sandboxes()));
  page.Head("ccgpu_node_manager_node_events_total", "counter", "Events about the Node, by what became of them.");
  page.Sample({{"result", "reported"}}, count(node_events_.reported()));
  page.Sample({{"result", "failed"}}, count(node_events_.failed()));
  page.Head("ccgpu_node_manager_mode_switches_total", "counter", "Switches of the GPUs' mode, by their end.");
  page.Sample({{"result", "switched"}}, count(modes_.switched()));
  page.Sample({{"result", "failed"}}, count(modes_.failed()));
  page.Gauge("ccgpu_node_manager_mode_switch_under_way", "1 while GPUs change their mode.", modes_.under_way() ? 1 : 0);
  page.Head("ccgpu_node_manager_api_errors_total", "counter", "Requests that the API server did not fulfil, by code.");
  for (const auto& [code, value] : client_.FailureCounts()) page.Sample({{"code", code}}, count(value));
  std::lock_guard lock(mutex_);
  page.Gauge("ccgpu_node_manager_emulator_up", "Whether the emulator answers.", gpus_ ? 1 : 0);
  page.Head("ccgpu_node_manager_gpus", "gauge", "GPUs by mode and health.");
  std::map<std::pair<std::string, bool>, size_t> kinds;
  for (const auto& gpu : gpus_.value_or(std::vector<Gpu>())) kinds[{gpu.mode, gpu.healthy}]++;
  for (const auto& [kind, number] : kinds)
    page.Sample({{"mode", kind.first}, {"health", kind.second ? "healthy" : "unhealthy"}}, count(number));
  return page.Take();
}

}  // namespace ccgpu::nodemanager
