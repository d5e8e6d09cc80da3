#include "device-plugin/plugin/emulator_watch.h"

#include "base/log.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "gpu-emulator/api/control.pb.h"

namespace ccgpu::deviceplugin {
namespace {

namespace emulator = ccgpu::emulator::v1;

GpuView ToView(const emulator::Gpu& gpu, const std::set<std::string>& modes) {
  GpuView view{gpu.uuid(),      gpu.index(), gpu.healthy(), gpu.health_reason(),
               gpu.numa_node(), gpu.mode(),  gpu.state(),   gpu.sandbox_id()};
  if (view.healthy && !modes.empty() && modes.count(view.mode) == 0) {
    view.healthy = false;
    view.reason = "plugin.mode-not-allowed";
  }
  return view;
}

}  // namespace

EmulatorWatch::EmulatorWatch(WatchOptions options, DeviceTable& table, Metrics& metrics)
    : options_(std::move(options)), table_(table), metrics_(metrics) {}

EmulatorWatch::~EmulatorWatch() { Stop(); }

void EmulatorWatch::Start() {
  watcher_ = std::thread([this] { Run(); });
  prober_ = std::thread([this] { Probe(); });
}

void EmulatorWatch::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->Cancel();
  }
  wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  if (prober_.joinable()) prober_.join();
}

bool EmulatorWatch::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

void EmulatorWatch::Publish(std::vector<GpuView> gpus) {
  if (!options_.cdi_dir.empty()) {
    Snapshot next;
    next.gpus = gpus;
    std::vector<std::string> names, old_names;
    for (const auto& gpu : gpus) names.push_back(gpu.id);
    for (const auto& gpu : table_.Get()->gpus) old_names.push_back(gpu.id);
    const bool same = names == old_names && metrics_.cdi_writes > 0 && !gpus.empty();
    if (auto status = same ? Ok() : WriteCdiSpec(options_.cdi_dir, next); !status.ok()) {
      metrics_.cdi_write_failures++;
      log::Error("cannot write the CDI spec; no GPU is offered", {{"why", status.error().ToString()}});
      for (auto& gpu : gpus) {
        gpu.healthy = false;
        gpu.reason = "plugin.cdi-write-failed";
      }
    } else if (!same) {
      metrics_.cdi_writes++;
    }
  }
  table_.Replace(std::move(gpus));
}

// True when at least one message came.
bool EmulatorWatch::WatchOnce() {
  rpc::Client client(options_.socket);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
    stream_ = &client;
  }
  bool any = false;
  const auto outcome = client.Stream<emulator::ListGpusResponse>(
      "/ccgpu.emulator.v1.Control/WatchGpus", emulator::ListGpusRequest(),
      [&](const emulator::ListGpusResponse& message) {
        std::vector<GpuView> gpus;
        for (const auto& gpu : message.gpus()) gpus.push_back(ToView(gpu, options_.modes));
        Publish(std::move(gpus));
        if (!any) log::Info("watching the emulator", {{"gpus", std::to_string(message.gpus_size())}});
        any = true;
        metrics_.emulator_connected = true;
      });
  metrics_.emulator_connected = false;
  {
    std::lock_guard lock(mutex_);
    stream_ = nullptr;
    if (stopping_) return any;
  }
  if (any) log::Warning("lost the emulator; all GPUs are unhealthy", {{"why", outcome.message}});
  table_.MarkAllUnhealthy("plugin.emulator-gone");
  return any;
}

void EmulatorWatch::Run() {
  using std::chrono::milliseconds;
  const milliseconds shortest{50}, longest{2000};
  milliseconds pause = shortest;
  do {
    pause = WatchOnce() ? shortest : std::min(pause * 2, longest);
  } while (Pause(pause));
}

// A stopped or deadlocked emulator keeps the stream open without a word; a small question with a deadline tells.
void EmulatorWatch::Probe() {
  while (Pause(options_.probe_interval)) {
    {
      std::lock_guard lock(mutex_);
      if (stream_ == nullptr) continue;
    }
    emulator::ListGpusResponse response;
    if (rpc::Client(options_.socket)
            .Call("/ccgpu.emulator.v1.Control/ListGpus", emulator::ListGpusRequest(), &response,
                  options_.probe_interval)
            .ok())
      continue;
    std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->Cancel();
  }
}

}  // namespace ccgpu::deviceplugin
