#include "node-manager/modes/mode_rules.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "kube/names.h"

namespace ccgpu::nodemanager {
namespace {

constexpr std::array<std::string_view, 4> kModes = {"off", "devtools", "apm", "hopper-cc"};

bool IsMode(std::string_view mode) { return std::find(kModes.begin(), kModes.end(), mode) != kModes.end(); }

bool Supports(const Gpu& gpu, const std::string& mode) {
  return std::find(gpu.modes.begin(), gpu.modes.end(), mode) != gpu.modes.end();
}

std::string Target(const Journal& journal, const Gpu& gpu) {
  if (!journal.failure) return journal.to;
  const auto it = journal.from.find(gpu.index);
  return it == journal.from.end() ? gpu.mode : it->second;  // a GPU that came meanwhile stays as it is
}

// The mode that all had when the switch began, "" when they differed.
std::string CommonBefore(const Journal& journal) {
  std::string common;
  for (const auto& [index, mode] : journal.from) {
    if (!common.empty() && common != mode) return "";
    common = mode;
  }
  return common;
}

Error TooLate(const Facts& facts) {
  if (!facts.gpus)
    return Err("manager.emulator-gone", "", "the emulator did not answer until the time for the switch was over");
  if (facts.pods.value_or(0) > 0)
    return Err("manager.drain-timeout", "",
               std::to_string(*facts.pods) + " pods still hold GPUs; is a disruption budget in the way?");
  for (const auto& gpu : *facts.gpus) {
    if (!gpu.sandbox_id.empty())
      return Err("manager.drain-timeout", gpu.uuid,
                 "is still held by sandbox " + gpu.sandbox_id + ", which belongs to no pod of this node");
  }
  return Err("manager.switch-timeout", "", "the GPUs did not come into the new mode in time");
}

// A switch that goes back where it came from.
Decision DecideAborted(const Facts& facts, const Limits& limits) {
  const Journal& journal = *facts.journal;
  const Decision failed{Step::kFinishFailed, {}, 0, journal.failure};
  if (facts.now > journal.since + limits.go_back) return failed;
  if (!facts.gpus) return {};
  bool waiting = false;
  for (const auto& gpu : *facts.gpus) {
    if (gpu.mode == Target(journal, gpu)) continue;
    if (gpu.sandbox_id.empty()) return {Step::kSwitch, Target(journal, gpu), gpu.index, {}};
    waiting = true;
  }
  return waiting ? Decision{} : failed;
}

Decision DecideUnderWay(const Facts& facts, const Limits& limits) {
  const Journal& journal = *facts.journal;
  if (facts.gpus) {
    if (facts.label.empty()) {
      const std::string before = CommonBefore(journal);
      if (before.empty())
        return {Step::kAbort, {}, 0, Err("manager.mode-withdrawn", "", "the label was removed during the switch")};
      if (before != journal.to) return {Step::kRetarget, before, 0, {}};
    } else {
      auto wanted = WantedMode(facts.label, *facts.gpus);
      if (!wanted.ok()) return {Step::kAbort, {}, 0, wanted.error()};
      if (*wanted != journal.to) return {Step::kRetarget, *wanted, 0, {}};
    }
  }
  const bool late = facts.now > journal.since + limits.drain;
  if (!facts.gpus) return late ? Decision{Step::kAbort, {}, 0, TooLate(facts)} : Decision{};
  const Gpu* next = nullptr;
  bool held = false, errors = false;
  for (const auto& gpu : *facts.gpus) {
    if (gpu.mode == journal.to) {
      errors |= gpu.state == "ERROR";
    } else if (!gpu.sandbox_id.empty()) {
      held = true;
    } else if (next == nullptr) {
      next = &gpu;
    }
  }
  const bool all_set = next == nullptr && !held;
  if (all_set && !errors) return {Step::kFinish, journal.to, 0, {}};
  if (!facts.pods && !all_set) return {Step::kDrain, {}, 0, {}};
  if (late) return {Step::kAbort, {}, 0, TooLate(facts)};
  if (next == nullptr || held || *facts.pods > 0) return {};
  return {Step::kSwitch, journal.to, next->index, {}};
}

}  // namespace

std::string Journal::ToText() const {
  Json modes = Json::object();
  for (const auto& [index, mode] : from) modes[std::to_string(index)] = mode;
  Json out = {{"to", to}, {"from", modes}, {"since", FormatTime(since)}};
  if (failure) out["failure"] = {{"code", failure->code}, {"subject", failure->subject}, {"text", failure->text}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Journal> ParseJournal(const std::string& text) {
  const Error bad = Err("manager.bad-journal", kube::kSwitchAnnotation, "is not what the node manager writes there");
  auto json = ParseJson(text, kube::kSwitchAnnotation, 8);
  if (!json.ok()) return bad;
  auto to = JsonString(*json, "to", "");
  auto since = JsonString(*json, "since", "");
  auto from = JsonObject(*json, "from", "");
  if (!to.ok() || !IsMode(*to) || !since.ok() || !from.ok()) return bad;
  auto time = ParseTime(*since);
  if (!time.ok()) return bad;
  Journal journal{*to, {}, *time, {}};
  for (const auto& [index, mode] : from->items()) {
    const bool number =
        !index.empty() && index.size() < 5 && index.find_first_not_of("0123456789") == std::string::npos;
    if (!number || !mode.is_string() || !IsMode(mode.get<std::string>())) return bad;
    journal.from[static_cast<uint32_t>(std::stoul(index))] = mode;
  }
  if (json->contains("failure")) {
    auto code = JsonString((*json)["failure"], "code", "failure");
    auto subject = JsonString((*json)["failure"], "subject", "failure");
    auto why = JsonString((*json)["failure"], "text", "failure");
    if (!code.ok() || !subject.ok() || !why.ok()) return bad;
    journal.failure = Error::FromWire(*code, *subject, *why);
  }
  return journal;
}

std::string StrongestMode(const std::vector<std::string>& modes) {
  for (const char* mode : {"hopper-cc", "apm"}) {
    if (std::find(modes.begin(), modes.end(), mode) != modes.end()) return mode;
  }
  return "";
}

Result<std::string> WantedMode(const std::string& label, const std::vector<Gpu>& gpus) {
  if (gpus.empty()) return Err("manager.mode-unsupported", label, "this node has no GPU");
  std::string mode = label == "on" ? StrongestMode(gpus.front().modes) : label;
  if (mode.empty()) return Err("manager.mode-unsupported", label, "these GPUs have no confidential mode");
  if (!IsMode(mode))
    return Err("manager.mode-unknown", label, "is none of on, off, devtools, apm, hopper-cc (label ccgpu.dev/cc.mode)");
  for (const auto& gpu : gpus) {
    if (!Supports(gpu, mode))
      return Err("manager.mode-unsupported", gpu.uuid, gpu.model + " cannot be in mode " + mode);
  }
  return mode;
}

std::string CommonMode(const std::vector<Gpu>& gpus) {
  for (const auto& gpu : gpus) {
    if (gpu.mode != gpus.front().mode) return "mixed";
  }
  return gpus.empty() ? "" : gpus.front().mode;
}

std::string FailedLabel(const Facts& facts) {
  if (!facts.journal) return facts.label.empty() ? "-" : facts.label;
  if (!facts.gpus) return facts.label.empty() ? facts.journal->to : facts.label;
  auto wanted = WantedMode(facts.label, *facts.gpus);
  return wanted.ok() && *wanted == facts.journal->to ? facts.label : facts.journal->to;
}

Decision Decide(const Facts& facts, const Limits& limits) {
  if (facts.journal) return facts.journal->failure ? DecideAborted(facts, limits) : DecideUnderWay(facts, limits);
  if (!facts.gpus || facts.gpus->empty()) return {};
  const std::string common = CommonMode(*facts.gpus);
  if (facts.label.empty()) return {Step::kReport, common, 0, {}};
  auto wanted = WantedMode(facts.label, *facts.gpus);
  if (wanted.ok() && *wanted == common) return {Step::kReport, common, 0, {}};
  if (facts.label == facts.failed_label) return {Step::kStayFailed, {}, 0, {}};
  if (!wanted.ok()) return {Step::kRefuse, {}, 0, wanted.error()};
  return {Step::kBegin, *wanted, 0, {}};
}

}  // namespace ccgpu::nodemanager
