#include "attestation-agent/gpu_gate.h"

#include "base/json.h"

namespace ccgpu::agent {

std::string_view GateName(GateState state) {
  switch (state) {
    case GateState::kPending: return "pending";
    case GateState::kAccepted: return "accepted";
    case GateState::kRefused: return "refused";
    case GateState::kNotApplicable: return "not-applicable";
  }
  return "refused";
}

Result<GateState> GpuGate::Judge(std::vector<Judged>& judged) {
  ASSIGN_OR_RETURN(std::optional<ConfidentialState> state, collector_.State());
  if (!state || !state->cc_enabled) return GateState::kNotApplicable;
  if (state->devtools)
    return Err("gpu.mode-devtools", "nvmlSystemGetConfComputeState",
               "the GPUs are in devtools mode, where the host can debug them");
  const Bytes nonce = random_.Take(32);
  ASSIGN_OR_RETURN(std::vector<evidence::GpuEvidence> gpus, collector_.Gpus(nonce));
  if (gpus.empty()) return GateState::kNotApplicable;
  verify::GpuOptions options;
  options.nonce = nonce;
  verify::Cache cache;
  for (const evidence::GpuEvidence& gpu : gpus) {
    judged.push_back(
        {gpu.uuid, verify::VerifyGpu(evidence::Unverified(gpu), collateral_, anchors_, options, clock_.Now(), &cache)});
  }
  for (const Judged& one : judged) {
    if (Status status = one.verdict.ToStatus(); !status.ok()) return status.error().In(one.uuid);
  }
  RETURN_IF_ERROR(collector_.SetReady(true));
  return GateState::kAccepted;
}

void GpuGate::Decide() {
  std::vector<Judged> judged;
  Result<GateState> result = Judge(judged);
  Json list = Json::array();
  for (const Judged& one : judged) {
    Json entry = Json::parse(one.verdict.ToJson());
    entry["uuid"] = one.uuid;
    entry.erase("claims");  // large, and said better by evidence itself
    list.push_back(std::move(entry));
  }
  if (result.ok() && *result == GateState::kAccepted) {
    for (const Judged& one : judged)
      events_.Tell("attest.gpu-accepted", "every check passed (" + one.verdict.environment + "); the GPU accepts work",
                   one.uuid);
  } else if (result.ok()) {
    events_.Tell("attest.not-applicable", collector_.has_gpus()
                                              ? "the GPUs' confidential mode is off: nothing vouches for them"
                                              : "this pod has no GPU");
  } else {
    events_.Tell(result.error().code, result.error().text, result.error().subject);
  }
  std::lock_guard lock(mutex_);
  state_ = result.ok() ? *result : GateState::kRefused;
  if (!result.ok()) reason_ = result.error();
  gpus_json_ = list.dump();
  decided_.notify_all();
}

Status GpuGate::WaitUntilOpen(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!decided_.wait_for(lock, limit, [&] { return state_ != GateState::kPending; })) {
    return Err("agent.pending", "GPU attestation", "is not finished yet: ask again");
  }
  if (state_ == GateState::kRefused) return *reason_;
  return Ok();
}

GateState GpuGate::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

std::string GpuGate::StatusJson() const {
  std::lock_guard lock(mutex_);
  Json reason = nullptr;
  if (reason_) reason = {{"code", reason_->code}, {"subject", reason_->subject}, {"text", reason_->text}};
  return Json({{"state", GateName(state_)}, {"reason", reason}, {"gpus", Json::parse(gpus_json_)}}).dump();
}

}  // namespace ccgpu::agent
