// Our own verdicts as tokens that others can read: EAR (RATS attestation results) and NVIDIA's detached EAT. Pure: the
// time, the identifier and the key are arguments. docs/formats/tokens.md has the claims.
//
// A refused verdict makes a token too, one that says so. Who signs results must not be who signs evidence.
#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/crypto/key.h"
#include "trust/verify/verdict.h"

namespace ccgpu::verify {

struct ResultToken {
  TimePoint issued;
  std::chrono::seconds lifetime = std::chrono::minutes(5);
  std::string issuer = "ccgpu";  // "iss"
  std::string build;             // of the verifier: "ccgpu 0.1.0"
  std::string id;                // "jti": unique, the caller's randomness
  std::string nonce;             // "eat_nonce": hex of the challenge; empty: that of the first device, if any
};

// A JWS: ES256 or ES384 by the key's curve. Errors: token.key-type; token.nothing-to-say for a verdict about neither
// CPU nor devices.
Result<std::string> MakeEarToken(const Verdict& verdict, const ResultToken& spec, const crypto::PrivateKey& key);

// [["JWT", overall], {"GPU-0": .., "SWITCH-0": ..}], claims 3.0, ES384: the key must be P-384. Its kid is the RFC 7638
// thumbprint (evidence::MakeJwks gives the set to publish). Errors: token.key-type; token.nothing-to-say for a verdict
// without devices.
Result<std::string> MakeEatBundle(const Verdict& verdict, const ResultToken& spec, const crypto::PrivateKey& key);

}  // namespace ccgpu::verify
