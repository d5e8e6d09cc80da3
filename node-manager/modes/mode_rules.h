// What a mode switch does next: one function over the facts, without any I/O. Nothing is remembered but the journal, an
// annotation of the Node, so that a switch goes on after a restart of anything, at whatever step it was.
//
//   label                     GPUs                   journal    -> next
//   none                      -                      none       -> report the mode they are in
//   unknown or unsupported    -                      none       -> refuse, once for this label
//   M                         all in M               none       -> report M
//   M                         some not               none       -> begin (taint, journal), once for this label
//   M                         some not, pods here    to M       -> drain
//   M                         some not, none held    to M       -> set the next one's mode, reset it
//   M                         all in M               to M       -> finish
//   another one               -                      to M       -> the journal's goal becomes that one
//   unknown                   -                      to M       -> abort
//   M                         too late               to M       -> abort: back to where each GPU was
//   -                         all back, or too late  aborted    -> finish as failed
//
// Why nothing races: the taint keeps new pods away, evictions respect disruption budgets, and the emulator itself
// refuses to switch a GPU that a sandbox holds. A pod that slips in between is evicted in the next round; one that gets
// a GPU just after its switch attests the mode that the GPU is in, and its policy decides.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "node-manager/cluster/emulator.h"

namespace ccgpu::nodemanager {

struct Journal {
  std::string to;
  std::map<uint32_t, std::string> from;  // mode of each GPU when it began
  TimePoint since{};                     // of the present goal, or of the abort
  std::optional<Error> failure;          // set: aborted, everything goes back

  std::string ToText() const;
};
// "manager.bad-journal" when somebody else wrote it.
Result<Journal> ParseJournal(const std::string& text);

// hopper-cc, else apm; "" when the profile has neither.
std::string StrongestMode(const std::vector<std::string>& modes);
// What a label (or the configured default) asks of these GPUs. "manager.mode-unknown", "manager.mode-unsupported".
Result<std::string> WantedMode(const std::string& label, const std::vector<Gpu>& gpus);
// The mode that all are in, "mixed" when they differ.
std::string CommonMode(const std::vector<Gpu>& gpus);

struct Limits {
  std::chrono::seconds drain{300};   // from the beginning until the last GPU is switched
  std::chrono::seconds go_back{60};  // after an abort
};

struct Facts {
  std::string label;                     // what is wanted; "": nothing
  std::string failed_label;              // that the last failure was about; "": no failure
  std::optional<std::vector<Gpu>> gpus;  // nothing: the emulator does not answer
  std::optional<Journal> journal;
  std::optional<size_t> pods;  // that hold GPUs and are still here; nothing: not looked yet
  TimePoint now{};
};

enum class Step {
  kWait,        // something must change first
  kReport,      // mode: what the GPUs are in
  kStayFailed,  // the label's switch failed before; a new label value begins anew
  kRefuse,      // error: the label cannot be
  kBegin,       // mode
  kRetarget,    // mode
  kAbort,       // error
  kDrain,
  kSwitch,        // gpu, mode
  kFinish,        // mode
  kFinishFailed,  // error
};

struct Decision {
  Step step = Step::kWait;
  std::string mode = {};
  uint32_t gpu = 0;
  std::optional<Error> error = {};
};

Decision Decide(const Facts& facts, const Limits& limits);

// Which label a failed switch was about: another label that came meanwhile is tried, this one is not again.
std::string FailedLabel(const Facts& facts);

}  // namespace ccgpu::nodemanager
