#include "node-manager/pods/outcome.h"

#include <algorithm>
#include <array>

namespace ccgpu::nodemanager {
namespace {

struct Known {
  std::string_view code, reason;
  bool warning;
  Attested attested;
};

// Single codes first, areas after them.
constexpr std::array<Known, 10> kCodes = {{
    {"attest.gpu-accepted", "Attested", false, Attested::kTrue},
    {"attest.not-applicable", "AttestationNotApplicable", false, Attested::kFalseUnlessTrue},
    {"broker.released", "KeyReleased", false, Attested::kTrue},
    {"policy.in-force", "PolicyInForce", false, Attested::kUnchanged},
    {"gpu.session", "GpuSessionOpen", false, Attested::kUnchanged},
    {"sandbox.ready", "SandboxReady", false, Attested::kUnchanged},
    {"sandbox.ended", "SandboxEnded", false, Attested::kUnchanged},
    {"agent.ready", "AgentReady", false, Attested::kUnchanged},
    {"agent.exited", "AgentExited", true, Attested::kFalse},
    {"gpu.resolver-unreachable", "SandboxFailed", true, Attested::kFalseUnlessTrue},
}};

constexpr std::array<Known, 24> kAreas = {{
    {"policy.", "PolicyDenied", true, Attested::kFalseUnlessTrue},
    {"initdata.", "PolicyDenied", true, Attested::kFalseUnlessTrue},
    {"environment.", "PolicyDenied", true, Attested::kFalseUnlessTrue},
    {"release.", "KeyRefused", true, Attested::kUnchanged},
    {"session.", "KeyRefused", true, Attested::kUnchanged},
    {"token.", "KeyRefused", true, Attested::kUnchanged},
    {"kbs.", "KeyRefused", true, Attested::kUnchanged},
    {"broker.", "KeyRefused", true, Attested::kUnchanged},
    {"attest.", "AttestationFailed", true, Attested::kFalse},
    {"gpu.", "AttestationFailed", true, Attested::kFalse},
    {"switch.", "AttestationFailed", true, Attested::kFalse},
    {"evidence.", "AttestationFailed", true, Attested::kFalse},
    {"composite.", "AttestationFailed", true, Attested::kFalse},
    {"collateral.", "AttestationFailed", true, Attested::kFalse},
    {"spdm.", "AttestationFailed", true, Attested::kFalse},
    {"snp.", "AttestationFailed", true, Attested::kFalse},
    {"tdx.", "AttestationFailed", true, Attested::kFalse},
    {"tpm.", "AttestationFailed", true, Attested::kFalse},
    {"azure.", "AttestationFailed", true, Attested::kFalse},
    {"rim.", "AttestationFailed", true, Attested::kFalse},
    {"ocsp.", "AttestationFailed", true, Attested::kFalse},
    {"crl.", "AttestationFailed", true, Attested::kFalse},
    {"chain.", "AttestationFailed", true, Attested::kFalse},
    {"tsm.", "AttestationFailed", true, Attested::kFalse},
}};

}  // namespace

Outcome OutcomeOf(std::string_view code) {
  const auto exact = std::find_if(kCodes.begin(), kCodes.end(), [&](const Known& one) { return one.code == code; });
  if (exact != kCodes.end()) return {exact->warning, std::string(exact->reason), exact->attested};
  const auto area =
      std::find_if(kAreas.begin(), kAreas.end(), [&](const Known& one) { return code.starts_with(one.code); });
  if (area != kAreas.end()) return {area->warning, std::string(area->reason), area->attested};
  // Shim, platform, runtime and the like: something broke, nothing was decided.
  return {true, "SandboxFailed", Attested::kFalseUnlessTrue};
}

}  // namespace ccgpu::nodemanager
