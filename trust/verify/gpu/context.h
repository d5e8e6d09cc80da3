// What the checks of one GPU or NVSwitch share. Included by trust/verify's own sources only.
#pragma once

#include <memory>
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

// What is the same for all evidence of one call. Not for several threads; several of them may share one cache.
struct SharedContext {
  SharedContext(const Collateral& c, const Anchors& a, TimePoint at, Cache* cache = nullptr)
      : collateral(c),
        anchors(a),
        now(at),
        own_cache(cache ? nullptr : std::make_unique<Cache>()),
        links((cache ? cache : own_cache.get())->tables()),
        revocation(c, links, at) {}

  const Collateral& collateral;
  const Anchors& anchors;
  TimePoint now;
  std::string environment;  // of the first root that was reached
  std::unique_ptr<Cache> own_cache;
  LinkCache links;
  Revocation revocation;
};

// What revocation statements say of a whole chain: the worst of its certificates.
struct ChainStanding {
  std::string said = "undefined", reason;
  bool fresh = false;
};

// A RIM of the collateral that was not asked for but fits what runs.
struct NearestRim {
  std::string id;
  size_t matching = 0, active = 0;  // indexes
};

// One RIM of a device.
struct RimState {
  std::string id;
  std::shared_ptr<const Result<evidence::Rim>> parsed;
  const evidence::Rim* rim = nullptr;  // inside `parsed`; nullptr when there is none that could be parsed
  ContentId content{};
  std::vector<crypto::Certificate> chain;  // pinned root last; empty until the root was found
  ChainStanding standing;
  std::optional<NearestRim> nearest;  // looked for when something differs or is missing
};

struct Mismatch {
  uint8_t index;
  std::string source;  // driver, vbios or bios
  std::string component, rim_id;
  Bytes golden, runtime;
};

enum class DeviceKind { kGpu, kSwitch };

struct GpuContext {
  const evidence::GpuEvidence& evidence;
  const GpuOptions& options;
  SharedContext& shared;
  std::string name;  // "gpu0", "switch0"

  std::optional<evidence::GpuReport> report;
  std::vector<crypto::Certificate> chain;  // pinned root last; empty until the root was found
  std::vector<crypto::Certificate> claimed_chain;
  RimState driver, vbios;  // a switch has one RIM, kept as `vbios`
  std::vector<Mismatch> mismatches;
  bool measurements_match = false;
  DeviceKind kind = DeviceKind::kGpu;
  ChainStanding standing{};
  bool good = false;  // nothing stands against acceptance; set by RunGpuChecks

  std::string ReportDocument() const { return name + "/report"; }
  std::string ChainDocument() const { return name + "/certificate-chain"; }
  // Only signers of RIMs may be on hold: a device on hold was reported lost or stolen.
  RevocationRules Rules(bool rim) const {
    return {options.require_revocation, rim && options.allow_hold, options.revocation_max_age, options.crl_max_age};
  }
};

// The lists, in the order in which they run.
std::span<const NamedCheck<GpuContext>> GpuReportChecks();
std::span<const NamedCheck<GpuContext>> SwitchReportChecks();
std::span<const NamedCheck<GpuContext>> GpuRimChecks();
std::span<const NamedCheck<GpuContext>> SwitchRimChecks();
// Instead of the last two, with references_replace_rims.
std::span<const NamedCheck<GpuContext>> ReferenceChecks();

// Runs the lists of the device's kind; true when nothing stands against acceptance.
bool RunGpuChecks(GpuContext& context, std::vector<Check>& checks);
// NVIDIA's claims 3.0 and what we add to them, of a GPU or a switch. `checks` of the device begin with `prefix`.
nlohmann::ordered_json GpuClaims(const GpuContext& context, const std::vector<Check>& checks,
                                 const std::string& prefix);
// chain[first] up to below the root, under the device's options; `standing` becomes the worst that was said.
Status CheckRevocation(GpuContext& context, const std::vector<crypto::Certificate>& chain, size_t first, bool rim,
                       ChainStanding& standing);
GpuFacts FactsOf(const GpuContext& context);
// The emulator's measured mode, or "" (also of hardware, whose reports do not say it).
std::string ModeOf(const GpuContext& context);
// "VBIOS image (index 2)". Real devices' measurements have the names that their RIMs give them.
std::string ComponentName(const GpuContext& context, const evidence::RimMeasurement& golden);

}  // namespace ccgpu::verify
