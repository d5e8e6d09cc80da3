// The node manager's parts on their threads: one watches the Node, one the emulator, one writes what the node says
// about itself and switches modes, one tells pods' events.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "node-manager/cluster/node_state.h"
#include "node-manager/modes/mode_manager.h"
#include "node-manager/pods/pod_reporter.h"
#include "node-manager/service/config.h"
#include "node-manager/service/folder_watch.h"

namespace ccgpu::nodemanager {

class Manager {
 public:
  // `client` and `clock` must outlive it.
  Manager(const RunConfig& config, kube::Client& client, const Clock& clock);
  ~Manager();  // stops the client and joins

  // To be called before the end, while the API may still be asked: when the node is ours no more, takes off it what
  // we put there.
  void Leave();

  std::string Metrics(const std::string& version) const;
  std::string NotReadyBecause() const;  // empty: ready
  std::string NotAliveBecause() const;  // empty: no thread hangs

 private:
  // Something may have changed: wakes a thread that waits with Wait().
  class Signal {
   public:
    void Set();
    void Stop();
    bool Wait(std::chrono::milliseconds at_most);  // false: stopping

   private:
    std::mutex mutex_;
    std::condition_variable wake_;
    bool set_ = false, stopping_ = false;
  };

  void WatchNode();
  void RunNode();
  Status Round(std::chrono::milliseconds& pause);
  void RunPods();
  void SawNode(const Json& node);
  NodeFacts FactsNow();
  bool Leaving() const;

  const RunConfig config_;
  kube::Client& client_;
  std::unique_ptr<Emulator> emulator_;
  NodeApi node_;
  NodeEvents node_events_;
  NodeState state_;
  ModeManager modes_;
  PodReporter pods_;

  std::mutex writing_;  // held by whoever writes to the Node, for a round; taken before mutex_
  mutable std::mutex mutex_;
  std::optional<std::vector<Gpu>> gpus_;
  bool gpus_asked_ = false;  // the emulator answered or did not; before that nothing is said about it
  std::string seen_words_;   // labels, annotations, taints of the Node, to see changes that are about us
  bool installed_seen_ = false;
  bool leaving_ = false;  // the runtime is not installed any more; it may come back
  bool left_ = false;     // Leave() found that the node is ours no more
  std::string trouble_ = "the Node was not read yet";
  std::atomic<int64_t> node_beat_{0}, pods_beat_{0};  // when each loop last came round, for /healthz

  FolderWatch folders_;
  Signal node_signal_, pods_signal_;
  std::unique_ptr<EmulatorWatch> emulator_watch_;
  std::thread node_watcher_, node_worker_, pods_worker_;
};

}  // namespace ccgpu::nodemanager
