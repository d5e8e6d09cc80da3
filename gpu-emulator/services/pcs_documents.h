// What Intel's provisioning certification service says about the emulated platform: TCB info, QE identity and both
// lists of revoked certificates, made when they are asked for, so that they are always current unless a fault says
// otherwise.
#pragma once

#include <string>

#include "base/clock.h"
#include "gpu-emulator/identity/tdx_fault.h"
#include "gpu-emulator/identity/tdx_identity.h"
#include "trust/evidence/intel_documents.h"

namespace ccgpu::emulator {

// Any thread. `identity` and `clock` must outlive it.
class PcsDocuments {
 public:
  PcsDocuments(const TdxIdentity& identity, TdxFault fault, const Clock& clock)
      : identity_(identity), fault_(fault), clock_(clock) {}
  const TdxIdentity& identity() const { return identity_; }

  std::string TcbInfo() const;
  std::string QeIdentity() const;
  Bytes PckCrl() const;   // DER, of the platform CA
  Bytes RootCrl() const;  // DER

 private:
  TimePoint Issued() const;
  TimePoint Ends() const;
  const TdxIdentity& identity_;
  TdxFault fault_;
  const Clock& clock_;
};

}  // namespace ccgpu::emulator
