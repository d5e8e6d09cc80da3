// What the checks of one TPM quote share. Included by trust/verify's own sources only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/evidence/tcg_log_efi.h"
#include "trust/verify/gpu/context.h"
#include "trust/verify/tpm/tpm.h"

namespace ccgpu::verify {

struct TpmContext {
  const evidence::TpmEvidence& evidence;
  const TpmOptions& options;
  SharedContext& shared;
  // The key that a hardware report vouches for; then certificates and pins do not matter.
  std::optional<crypto::PublicKey> vouched_key = std::nullopt;

  std::optional<evidence::TpmQuote> quote = std::nullopt;  // set when the bytes are a quote
  std::optional<evidence::TpmSignature> signature = std::nullopt;
  std::optional<evidence::TpmPublic> area = std::nullopt;
  std::optional<crypto::PublicKey> key = std::nullopt;  // the one that everything in the evidence agrees on
  std::vector<crypto::Certificate> claimed_chain = {};  // leaf first
  std::vector<crypto::Certificate> chain = {};          // pinned root last; empty until the root was found
  bool registers_hold = false;                          // the quoted digest is that of evidence.pcrs
  std::optional<evidence::TcgLog> log = std::nullopt;
  std::map<uint32_t, Bytes> replayed = {};
  std::optional<evidence::SecureBootFacts> secure_boot = std::nullopt;
};

std::span<const NamedCheck<TpmContext>> TpmKeyChecks();    // whose key
std::span<const NamedCheck<TpmContext>> TpmQuoteChecks();  // what it signed
std::span<const NamedCheck<TpmContext>> TpmLogChecks();    // what was measured

// The three lists; true when nothing stands against acceptance.
bool RunTpmChecks(TpmContext& context, const std::string& prefix, std::vector<Check>& checks);
// What the initdata register holds after this digest was extended into it (CoCo's initdata.md).
Bytes TpmInitDataForm(ByteView digest, uint16_t bank);
// CoCo's TPM claims and what we add to them.
nlohmann::ordered_json TpmClaims(const TpmContext& context);

// A chain of attestation key certificates (leaf first, pinned root last): RSA of 2048 bits and more, P-256 or P-384,
// SHA-2 signatures, the rules of RFC 5280.
Status CheckTpmChain(const std::vector<crypto::Certificate>& chain, LinkCache& links);
bool IsTpmKeyStrong(const crypto::PublicKey& key);

inline constexpr ChainCodes kTpmCodes = {"tpm.chain-malformed",  "tpm.untrusted-root",    "tpm.chain-invalid",
                                         "tpm.chain-expired",    "tpm.revoked",           "tpm.revocation-unknown",
                                         "tpm.revocation-stale", "tpm.revocation-missing"};

}  // namespace ccgpu::verify
