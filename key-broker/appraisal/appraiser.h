// From an attest message to "accepted" or "refused, because": binds the evidence to nonce, key and initdata, gets the
// collateral that its verification needs, and lets trust/verify judge.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "key-broker/appraisal/collateral.h"
#include "trust/kbs/ear.h"
#include "trust/kbs/protocol.h"
#include "trust/verify/verify.h"

namespace ccgpu::broker {

// Starts as refused.
struct Appraisal {
  bool accepted = false;
  Error why;                       // when refused
  std::string environment;         // hardware | emulated; may be empty when refused
  std::string claims_json = "{}";  // trust/verify's claims
  std::string failed_json = "[]";  // when refused: the named checks that failed
  std::vector<kbs::EarSubmod> submods;
};

class Appraiser {
 public:
  virtual ~Appraiser() = default;
  // Any thread; may wait for the network.
  virtual Appraisal Appraise(const std::string& tee, const kbs::AttestRequest& request, TimePoint now) = 0;
};

// The real one: a composite of CPU evidence (evidence::KnownTees) and NVIDIA GPUs.
class EvidenceAppraiser final : public Appraiser {
 public:
  // `collateral` must outlive it.
  EvidenceAppraiser(verify::Anchors anchors, CollateralSource& collateral)
      : anchors_(std::move(anchors)), collateral_(collateral) {}
  Appraisal Appraise(const std::string& tee, const kbs::AttestRequest& request, TimePoint now) override;

 private:
  verify::Anchors anchors_;
  CollateralSource& collateral_;
  verify::Cache cache_;  // pods of one node share firmware, RIMs and most of their certificates
};

}  // namespace ccgpu::broker
