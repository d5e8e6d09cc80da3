// Judging tokens of other verifiers: NVIDIA's detached EAT (NRAS and its SDK) and EAR. As in verify.h: pure functions,
// and keys, algorithms and issuers come from the arguments, never from the token.
//
// docs/formats/tokens.md has the forms. A token is worth what its issuer's verifier is worth; who judges evidence
// itself (verify.h) trusts one party less.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/x509.h"
#include "trust/evidence/jwt.h"
#include "trust/evidence/nras.h"
#include "trust/evidence/unverified.h"
#include "trust/verify/verdict.h"

namespace ccgpu::verify {

// A key that the caller trusts, with the one algorithm that it is used with (so that a token cannot choose another).
struct TokenKey {
  crypto::PublicKey key;
  evidence::JwsAlgorithm algorithm = evidence::JwsAlgorithm::kEs384;
  std::string key_id;  // empty: fits any token
};
// With the key's default algorithm (RSA: PS256). Error: token.key-type.
Result<TokenKey> PinnedKey(const crypto::PublicKey& key, std::string key_id = "");
// Of a JWKS that the caller trusts. RSA keys are used with RS256 only if `allow_rs256` (Microsoft's services) and the
// set does not say PS256. Errors: token.bad-jwks, token.key-type; token.algorithm for an "alg" that is not allowed.
Result<std::vector<TokenKey>> PinnedKeys(std::string_view jwks, bool allow_rs256 = false);

struct TokenRules {
  std::vector<TokenKey> keys;
  // For tokens that bring their certificates (x5c): the chain must end in one of these, and be all P-384 with SHA-384
  // or all P-256 with SHA-256, as the root is.
  std::vector<crypto::Certificate> x5c_roots;
  std::string issuer;          // exactly this "iss"; empty: everything is refused (token.issuer-missing)
  std::string audience;        // in "aud"; empty: a token with "aud" is refused, since it is meant for somebody
  bool require_expiry = true;  // otherwise a token without "exp" ends at iat + max_age
  std::chrono::seconds max_age = std::chrono::hours(24);  // of "iat", which must be there
  std::chrono::seconds clock_slack = std::chrono::seconds(60);
  bool insecure_accept_emulated = false;
};

inline constexpr std::string_view kNrasIssuer = "https://nras.attestation.nvidia.com";

struct NrasOptions {
  TokenRules token;
  Bytes nonce;  // 32 bytes, required (token.nonce-missing)
  std::optional<size_t> device_count;
  std::vector<std::string> allowed_ueids;  // device inventory; empty: any device
  bool require_revocation = true;          // each chain's OCSP status must be "good"
};

// claims: {"environment", "iss", "x-nvidia-overall-att-result", "gpus":[..], "switches":[..]}, each device with the
// claims of its token. A bundle that says nothing about its environment is "hardware" when its issuer is NVIDIA's
// service (which judges nothing else), and refused otherwise (environment.unstated).
Verdict VerifyNrasToken(const evidence::Unverified<evidence::DetachedEat>& bundle, const NrasOptions& options,
                        TimePoint now);

struct EarOptions {
  TokenRules token;
  std::vector<std::string> profiles = {"tag:github.com,2023:veraison/ear",
                                       "tag:github.com,2024:confidential-containers/Trustee"};
  // The worst status that is accepted: "affirming" or "warning". Evidence of an emulator, when accepted, does not count
  // against the claim "hardware".
  std::string worst_status = "affirming";
  std::string nonce;  // exactly this "eat_nonce"; empty: the token must be fresh by its times alone
  // What it means when the token does not say "ccgpu.environment": "hardware" for an issuer that judges only hardware;
  // empty: refused (environment.unstated).
  std::string environment_when_silent;
};

// claims: {"environment", "ear": the token's claims}.
Verdict VerifyEar(const evidence::Unverified<std::string>& token, const EarOptions& options, TimePoint now);

}  // namespace ccgpu::verify
