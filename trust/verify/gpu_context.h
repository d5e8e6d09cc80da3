// What the checks of one GPU share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"
#include "trust/verify/chain.h"
#include "trust/verify/internal.h"
#include "trust/verify/revocation.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {

// What is the same for all evidence of one call.
struct SharedContext {
  SharedContext(const Collateral& c, const Anchors& a, TimePoint at)
      : collateral(c), anchors(a), now(at), revocation(c, links, at) {}

  const Collateral& collateral;
  const Anchors& anchors;
  TimePoint now;
  std::string environment;  // of the first root that was reached
  LinkCache links;
  Revocation revocation;
};

// One of the two RIMs of a GPU.
struct RimState {
  std::string id;
  std::optional<evidence::Rim> rim;
  std::vector<crypto::Certificate> chain;  // pinned root last; empty until the root was found
  bool genuine = false;                    // signature, chain and version hold
};

struct Mismatch {
  uint8_t index;
  std::string source;  // driver or vbios
  Bytes golden, runtime;
};

struct GpuContext {
  const evidence::GpuEvidence& evidence;
  const GpuOptions& options;
  SharedContext& shared;
  std::string name;  // "gpu0"

  std::optional<evidence::GpuReport> report;
  std::vector<crypto::Certificate> chain;  // pinned root last; empty until the root was found
  std::vector<crypto::Certificate> claimed_chain;
  RimState driver, vbios;
  std::vector<Mismatch> mismatches;
  bool measurements_match = false;

  std::string ReportDocument() const { return name + "/report"; }
  std::string ChainDocument() const { return name + "/certificate-chain"; }
  RevocationRules Rules() const { return {options.require_revocation, options.allow_hold, options.revocation_max_age}; }
};

// The lists, in the order in which they run.
std::span<const NamedCheck<GpuContext>> GpuReportChecks();
std::span<const NamedCheck<GpuContext>> GpuRimChecks();

// Runs both lists; true when nothing stands against acceptance.
bool RunGpuChecks(GpuContext& context, std::vector<Check>& checks);
// NVIDIA's claims 3.0 and what we add to them.
nlohmann::ordered_json GpuClaims(const GpuContext& context, const std::vector<Check>& checks,
                                 const std::string& prefix);
GpuFacts FactsOf(const GpuContext& context);

}  // namespace ccgpu::verify
