// An emulated Intel for tests: PCK chain, quoting enclave, TCB documents, lists; all healthy until a test changes
// something.
#pragma once

#include <string>
#include <vector>

#include "trust/evidence/crl.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {

struct TdxWorld {
  // Levels of `edits`: "tdx0" PCK certificate, "tdx1" platform CA, "tdx2" root, "tcb-signing".
  explicit TdxWorld(const SpecEdits& edits = {}, uint16_t version = 4);

  std::vector<Party> chain;  // PCK certificate, platform CA, root
  Party tcb_signing;         // issued by the root
  crypto::PrivateKey attestation_key;
  evidence::PckExtensions pck;
  evidence::QeReport qe;
  evidence::TdxQuote quote;  // unsigned
  evidence::TcbInfo tcb_info;
  evidence::QeIdentity qe_identity;
  std::vector<evidence::CrlEntry> revoked_by_root, revoked_by_ca;
  TimePoint crl_update = kTestNow - std::chrono::hours(24), crl_next_update = kTestNow + std::chrono::hours(24 * 29);
  Anchors anchors;
  TdxOptions options;
  TimePoint now = kTestNow;
  evidence::TdxEvidence evidence;  // what Sign made
  Collateral collateral;           // what Endorse made

  void Sign();
  void Endorse();
  Verdict Run() const;
};

}  // namespace ccgpu::verify
