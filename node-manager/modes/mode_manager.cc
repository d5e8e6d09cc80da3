#include "node-manager/modes/mode_manager.h"

#include <algorithm>

#include "base/log.h"
#include "kube/names.h"
#include "node-manager/modes/drain.h"

namespace ccgpu::nodemanager {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kIdle{60000}, kBusy{1000}, kTrouble{2000};
constexpr int kMostActions = 200;  // in one Step: a node has few GPUs

constexpr char kAction[] = "SwitchMode";

bool AllReady(const std::vector<Gpu>& gpus) {
  return std::all_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) { return gpu.healthy && gpu.state != "ERROR"; });
}

// The failure that the annotation tells: "<label> <code>: text". Only the label counts here.
std::string RememberedFailure(const Json& node) {
  const std::string text = AnnotationOf(node, kube::kFailureAnnotation);
  return text.substr(0, text.find(' '));
}

}  // namespace

ModeManager::ModeManager(ModeOptions options, kube::Client& client, NodeApi& node, Emulator& emulator,
                         NodeEvents& events, const Clock& clock)
    : options_(std::move(options)), client_(client), node_(node), emulator_(emulator), events_(events), clock_(clock) {}

Result<Decision> ModeManager::Look(Facts& facts) {
  ASSIGN_OR_RETURN(const Json node, node_.Get());
  facts.label = LabelOf(node, kube::kModeLabel);
  if (facts.label.empty()) facts.label = options_.default_mode;
  facts.failed_label = RememberedFailure(node);
  if (const std::string text = AnnotationOf(node, kube::kSwitchAnnotation); !text.empty()) {
    auto journal = ParseJournal(text);
    if (!journal.ok()) {
      // Nobody knows where the GPUs came from: they stay as they are, and a person looks.
      events_.Add({true, "ModeSwitchFailed", kAction, journal.error().ToString()});
      return Decision{Step::kFinishFailed, {}, 0, journal.error()};
    }
    facts.journal = *journal;
  }
  auto gpus = emulator_.List();
  if (gpus.ok()) facts.gpus = *gpus;
  facts.pods = pods_;
  facts.now = clock_.Now();
  return Decide(facts, options_.limits);
}

std::chrono::milliseconds ModeManager::Step() {
  pods_.reset();
  for (int i = 0; i < kMostActions; i++) {
    Facts facts;
    auto decision = Look(facts);
    if (!decision.ok()) {
      log::Warning("cannot look after the GPUs' mode", {{"why", decision.error().ToString()}});
      return kTrouble;
    }
    under_way_ = facts.journal.has_value() || decision->step == Step::kBegin;
    bool again = false;
    const Status done = Do(*decision, facts, again);
    (void)events_.Flush();
    if (!done.ok()) {
      log::Warning("a step of a mode switch must be tried again", {{"why", done.error().ToString()}});
      return kTrouble;
    }
    if (!again) return under_way_ ? kBusy : kIdle;
  }
  return kBusy;
}

Status ModeManager::Do(const Decision& decision, const Facts& facts, bool& again) {
  again = true;
  switch (decision.step) {
    case Step::kWait:
    case Step::kStayFailed: again = false; return Ok();
    case Step::kReport: again = false; return Report(decision.mode, *facts.gpus);
    case Step::kRefuse:
      again = false;
      failed_++;
      events_.Add({true, "ModeSwitchRefused", kAction, decision.error->ToString()});
      return Finish("failed", false, facts.label + " " + decision.error->code + ": " + decision.error->text);
    case Step::kBegin: {
      Journal journal{decision.mode, {}, facts.now, {}};
      for (const auto& gpu : *facts.gpus) journal.from[gpu.index] = gpu.mode;
      RETURN_IF_ERROR(WriteJournal(journal));
      events_.Add({false, "ModeSwitchStarted", kAction,
                   "GPUs go from mode " + CommonMode(*facts.gpus) + " to " + decision.mode +
                       "; pods that hold GPUs are evicted"});
      return Ok();
    }
    case Step::kRetarget: {
      Journal journal = *facts.journal;
      journal.to = decision.mode;
      journal.since = facts.now;
      RETURN_IF_ERROR(WriteJournal(journal));
      events_.Add({false, "ModeSwitchRetargeted", kAction, "the label changed: GPUs go to mode " + decision.mode});
      return Ok();
    }
    case Step::kAbort: return Abort(*facts.journal, *decision.error);
    case Step::kDrain: {
      size_t left = 0;
      const Status drained = Drain(left);
      if (drained.ok()) {
        pods_ = left;
      } else if (drained.error().code == "manager.drain-static-pod" || drained.error().code == "kube.forbidden") {
        return Abort(*facts.journal, drained.error());
      }
      return drained;
    }
    case Step::kSwitch: {
      const Status set = Switch(decision.gpu, decision.mode);
      const bool refused = !set.ok() && set.error().code == "manager.gpu-refused";
      return refused && !facts.journal->failure ? Abort(*facts.journal, set.error()) : set;
    }
    case Step::kFinish:
      RETURN_IF_ERROR(Finish(decision.mode, AllReady(*facts.gpus), ""));
      switched_++;
      events_.Add({false, "ModeSwitched", kAction,
                   "all " + std::to_string(facts.gpus->size()) + " GPUs are in mode " + decision.mode});
      return Ok();
    case Step::kFinishFailed: {
      RETURN_IF_ERROR(
          Finish("failed", false, FailedLabel(facts) + " " + decision.error->code + ": " + decision.error->text));
      failed_++;
      return Ok();
    }
  }
  return Ok();
}

Status ModeManager::Report(const std::string& mode, const std::vector<Gpu>& gpus) {
  const std::string ready = mode != "mixed" && AllReady(gpus) ? "true" : "false";
  auto updated = node_.Update([&](const Json& node) -> Json {
    Json patch;
    if (LabelOf(node, kube::kModeStateLabel) != mode) patch["metadata"]["labels"][kube::kModeStateLabel] = mode;
    if (LabelOf(node, kube::kReadyStateLabel) != ready) patch["metadata"]["labels"][kube::kReadyStateLabel] = ready;
    if (!AnnotationOf(node, kube::kFailureAnnotation).empty())
      patch["metadata"]["annotations"][kube::kFailureAnnotation] = nullptr;
    // Somebody removed the journal by hand: then the taint has no owner either.
    if (const Json taints = TaintsWith(node, false); !taints.is_null()) patch["spec"]["taints"] = taints;
    return patch;
  });
  return updated.ok() ? Ok() : Status(updated.error());
}

Status ModeManager::WriteJournal(const Journal& journal) {
  auto updated = node_.Update([&](const Json& node) {
    Json patch;
    patch["metadata"]["labels"] = {{kube::kModeStateLabel, "switching"}, {kube::kReadyStateLabel, "false"}};
    patch["metadata"]["annotations"] = {{kube::kSwitchAnnotation, journal.ToText()},
                                        {kube::kFailureAnnotation, nullptr}};
    if (const Json taints = TaintsWith(node, true); !taints.is_null()) patch["spec"]["taints"] = taints;
    return patch;
  });
  return updated.ok() ? Ok() : Status(updated.error());
}

Status ModeManager::Abort(Journal journal, const Error& error) {
  journal.failure = error;
  journal.since = clock_.Now();
  RETURN_IF_ERROR(WriteJournal(journal));
  events_.Add({true, "ModeSwitchFailed", kAction, error.ToString() + "; GPUs go back to the mode they were in"});
  return Ok();
}

Status ModeManager::Finish(const std::string& state, bool ready, const std::string& failure) {
  auto updated = node_.Update([&](const Json& node) {
    Json patch;
    patch["metadata"]["labels"] = {{kube::kModeStateLabel, state}, {kube::kReadyStateLabel, ready ? "true" : "false"}};
    patch["metadata"]["annotations"] = {{kube::kSwitchAnnotation, nullptr},
                                        {kube::kFailureAnnotation, failure.empty() ? Json(nullptr) : Json(failure)}};
    if (const Json taints = TaintsWith(node, false); !taints.is_null()) patch["spec"]["taints"] = taints;
    return patch;
  });
  return updated.ok() ? Ok() : Status(updated.error());
}

Status ModeManager::Drain(size_t& left) {
  ASSIGN_OR_RETURN(const Drained drained, DrainOnce(client_, node_.name(), options_.resource));
  left = drained.left;
  if (drained.evicted > 0)
    events_.Add({false, "DrainingGpuPods", "Evict", "evicted " + std::to_string(drained.evicted) + " pods with GPUs"});
  if (!drained.blocked_by.empty()) events_.Add({true, "DrainBlocked", "Evict", drained.blocked_by});
  return Ok();
}

Status ModeManager::Switch(uint32_t gpu, const std::string& mode) {
  // A sandbox that was faster than the taint gets "manager.gpu-held" here; the next Step drains again.
  auto set = emulator_.SetMode(gpu, mode);
  if (set.ok()) set = emulator_.Reset(gpu);
  if (!set.ok()) return set.error();
  if (set->mode != mode)
    return Err("manager.gpu-refused", set->uuid, "says it is in mode " + set->mode + " after a switch to " + mode);
  events_.Add({false, "GpuModeSet", kAction, set->uuid + " is in mode " + mode + ", memory and keys erased"});
  return Ok();
}

}  // namespace ccgpu::nodemanager
