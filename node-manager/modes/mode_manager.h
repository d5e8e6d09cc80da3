// Brings a node's GPUs into the mode that its label asks for: does what mode_rules.h decides.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <string>

#include "node-manager/cluster/event_queue.h"
#include "node-manager/cluster/node_api.h"
#include "node-manager/modes/mode_rules.h"

namespace ccgpu::nodemanager {

struct ModeOptions {
  std::string default_mode;  // for nodes without the label; "": they stay as they are
  std::string resource = "ccgpu.dev/cc-gpu";
  Limits limits;
};

// One thread calls Step(); counters may be read from any.
class ModeManager {
 public:
  // Everything must outlive it.
  ModeManager(ModeOptions options, kube::Client& client, NodeApi& node, Emulator& emulator, NodeEvents& events,
              const Clock& clock);
  // Goes as far as it can now; how long until it should be called again if nothing changes before.
  std::chrono::milliseconds Step();

  uint64_t switched() const { return switched_; }
  uint64_t failed() const { return failed_; }
  bool under_way() const { return under_way_; }

 private:
  Result<Decision> Look(Facts& facts);
  Status Do(const Decision& decision, const Facts& facts, bool& again);
  Status Report(const std::string& mode, const std::vector<Gpu>& gpus);
  Status WriteJournal(const Journal& journal);
  Status Abort(Journal journal, const Error& error);
  Status Finish(const std::string& state, bool ready, const std::string& failure);
  Status Drain(size_t& left);
  Status Switch(uint32_t gpu, const std::string& mode);

  const ModeOptions options_;
  kube::Client& client_;
  NodeApi& node_;
  Emulator& emulator_;
  NodeEvents& events_;
  const Clock& clock_;
  std::optional<size_t> pods_;  // of this Step
  std::atomic<uint64_t> switched_{0}, failed_{0};
  std::atomic<bool> under_way_{false};
};

}  // namespace ccgpu::nodemanager
