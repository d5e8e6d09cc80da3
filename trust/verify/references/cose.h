// Judging COSE_Sign1 messages under keys that the caller pins. See token.h for the JSON counterpart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/x509.h"
#include "trust/evidence/cose.h"
#include "trust/evidence/unverified.h"
#include "trust/verify/verdict.h"

namespace ccgpu::verify {

// A key with the one algorithm (evidence::cose_alg) that it is used with.
struct CoseKey {
  crypto::PublicKey key;
  int64_t algorithm = evidence::cose_alg::kEs384;
  Bytes key_id;  // empty: fits any message
};
// With the key's default algorithm: ES256, ES384 or ES512 by curve, PS256 for RSA. Error: token.key-type.
Result<CoseKey> PinnedCoseKey(const crypto::PublicKey& key, Bytes key_id = {});

struct CoseRules {
  std::vector<CoseKey> keys;
  std::vector<crypto::Certificate> x5chain_roots;  // for messages with an x5chain; see TokenRules::x5c_roots
  bool insecure_accept_emulated = false;           // a root in x5chain_roots whose name says that it is an emulator's
  bool allow_untagged = false;                     // a message without the tag 18
  Bytes external_aad;
  std::optional<Bytes> detached_payload;  // when the message carries none; with both, the message is refused
  std::string content_type;               // exactly this; empty: any
};

// claims: {"alg", "content_type", "payload_sha256"}. Says only whose message it is; what is in it is for others to
// judge, so `environment` stays empty.
Verdict VerifyCose(const evidence::Unverified<Bytes>& message, const CoseRules& rules, TimePoint now);

}  // namespace ccgpu::verify
