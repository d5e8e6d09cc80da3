// An emulated TPM for tests: attestation key, certificates, registers, log and quote, all healthy until a test changes
// something.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trust/evidence/tcg_log_efi.h"
#include "trust/verify/testing/world.h"
#include "trust/verify/tpm/tpm.h"

namespace ccgpu::verify {

struct TpmWorld {
  // Levels of `edits`: "ak" (leaf), "ca", "root". The key is of type kP256, kP384 or an RSA kind.
  explicit TpmWorld(const SpecEdits& edits = {}, crypto::KeyType key = crypto::KeyType::kP256);

  crypto::PrivateKey ak;
  std::vector<Party> chain;  // AK, CA, root
  evidence::TpmPublic area;
  evidence::TpmQuote quote;
  uint16_t algorithm = 0, hash = evidence::tpm_alg::kSha256;  // of the signature
  evidence::TcgLog log;
  std::map<uint32_t, Bytes> pcrs;  // what the registers hold
  Anchors anchors;
  TpmOptions options;
  Collateral collateral;
  TimePoint now = kTestNow;
  evidence::TpmEvidence evidence;

  void Measure();  // log -> registers
  void Quote();    // registers -> pcrDigest, then Sign()
  void Sign();     // quote, area, chain, log -> evidence
  Verdict Run() const;
};

evidence::TcgEvent MakeEvent(uint32_t index, uint32_t type, ByteView data);
// The bare signature value of an RSA key, or TPMT_SIGNATURE's parts of an ECDSA one.
evidence::TpmSignature SignAsTpm(const crypto::PrivateKey& key, uint16_t algorithm, uint16_t hash, ByteView message);

}  // namespace ccgpu::verify
