// The agent's own judgement of the sandbox's GPUs, before any of them may take work: until it says yes, CUDA answers
// "system not ready" in this pod, whatever the broker thinks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <string>
#include <vector>

#include "attestation-agent/collector.h"
#include "attestation-agent/events.h"
#include "base/clock.h"
#include "trust/verify/verify.h"

namespace ccgpu::agent {

enum class GateState { kPending, kAccepted, kRefused, kNotApplicable };
std::string_view GateName(GateState state);

// Any thread.
class GpuGate {
 public:
  GpuGate(Collector& collector, const evidence::Collateral& collateral, const verify::Anchors& anchors,
          crypto::Random& random, const Clock& clock, Events& events)
      : collector_(collector),
        collateral_(collateral),
        anchors_(anchors),
        random_(random),
        clock_(clock),
        events_(events) {}

  // Verifies every GPU with a nonce of its own and sets them ready when all are accepted. Once.
  void Decide();
  // Ok when decided and not refused; agent.pending after `limit`.
  Status WaitUntilOpen(std::chrono::milliseconds limit);
  GateState state() const;
  // {"state":..,"reason":{code,subject,text}|null,"gpus":[{"uuid","verdict","checks":[..]}]}
  std::string StatusJson() const;

 private:
  struct Judged {
    std::string uuid;
    verify::Verdict verdict;
  };
  Result<GateState> Judge(std::vector<Judged>& judged);

  Collector& collector_;
  const evidence::Collateral& collateral_;
  const verify::Anchors& anchors_;
  crypto::Random& random_;
  const Clock& clock_;
  Events& events_;
  mutable std::mutex mutex_;
  std::condition_variable decided_;
  GateState state_ = GateState::kPending;
  std::optional<Error> reason_;
  std::string gpus_json_ = "[]";
};

}  // namespace ccgpu::agent
