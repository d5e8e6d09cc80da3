#include "gpu-emulator/identity/tdx_fault.h"

namespace ccgpu::emulator {

const std::vector<TdxFaultEffect>& TdxFaults() {
  static const std::vector<TdxFaultEffect> list = {
      {TdxFault::kNone, "none", "healthy"},
      {TdxFault::kDebug, "debug", "guests run in debug mode"},
      {TdxFault::kSeptVe, "sept-ve", "guests run without SEPT_VE_DISABLE"},
      {TdxFault::kTcbOutOfDate, "tcb-out-of-date", "Intel lists a newer TCB level than the platform's"},
      {TdxFault::kTcbRevoked, "tcb-revoked", "the platform's TCB level is revoked"},
      {TdxFault::kPckRevoked, "pck-revoked", "the PCK certificate is revoked"},
      {TdxFault::kStaleCollateral, "stale-collateral", "Intel's documents ended a day ago"},
      {TdxFault::kForeignModule, "foreign-module", "the TDX module is not Intel's"},
      {TdxFault::kQeDebug, "qe-debug", "the quoting enclave runs in debug mode"},
  };
  return list;
}

Result<TdxFault> ParseTdxFault(const std::string& name) {
  std::string known;
  for (const TdxFaultEffect& effect : TdxFaults()) {
    if (name == effect.name) return effect.fault;
    known += (known.empty() ? "" : ", ") + std::string(effect.name);
  }
  return Err("platform.unknown-fault", name, "expected one of " + known);
}

}  // namespace ccgpu::emulator
