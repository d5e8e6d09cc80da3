// Faults of the emulated TDX platform, for showing that verifiers see them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::emulator {

// What may be wrong with an emulated TDX platform; chosen when the emulator starts.
enum class TdxFault {
  kNone,
  kDebug,            // guests run with TDATTRIBUTES.DEBUG
  kSeptVe,           // guests run without SEPT_VE_DISABLE
  kTcbOutOfDate,     // Intel lists a newer level; the platform's own is OutOfDate
  kTcbRevoked,       // the platform's level is Revoked
  kPckRevoked,       // the PCK certificate is on its CA's list
  kStaleCollateral,  // the service's documents ended a day ago
  kForeignModule,    // MRSIGNERSEAM is not zero
  kQeDebug,          // the quoting enclave runs in debug mode
};
struct TdxFaultEffect {
  TdxFault fault;
  const char* name;
  const char* meaning;
};
const std::vector<TdxFaultEffect>& TdxFaults();
Result<TdxFault> ParseTdxFault(const std::string& name);  // "platform.unknown-fault"

}  // namespace ccgpu::emulator
