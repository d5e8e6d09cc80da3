// The emulated Intel platform: an SGX-like root that says EMULATED, PCK and TCB signing certificates below it, the
// quoting enclave's attestation key, and the facts that quotes carry.
#pragma once

#include <string>

#include "base/clock.h"
#include "gpu-emulator/identity/key_store.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"

namespace ccgpu::emulator {

// Immutable, any thread.
struct TdxIdentity {
  Authority root, platform_ca, tcb_signing;
  Authority pck;                       // of this platform
  crypto::PrivateKey attestation_key;  // P-256, the quoting enclave's
  evidence::PckExtensions facts;
  evidence::QeReport qe;
  Bytes tee_tcb_svn = Bytes(16), mr_seam = Bytes(48);

  std::string PckChain() const;  // PEM: PCK, platform CA, root
  std::string TcbIssuerChain() const;
  std::string CrlIssuerChain() const;
};

// Who certifies platforms and their TCB: one for a whole deployment.
struct IntelAuthority {
  Authority root, platform_ca, tcb_signing;
};
// Loads it from `dir`, or makes it there. Errors: "identity.damaged".
Result<IntelAuthority> LoadOrMakeIntelAuthority(const std::string& dir, TimePoint now);

// Loads platform and authority from `dir`, or makes what is missing there. Private keys are 0600. Errors:
// "identity.damaged", as for SnpIdentity.
Result<TdxIdentity> LoadOrMakeTdxIdentity(const std::string& dir, TimePoint now);

}  // namespace ccgpu::emulator
