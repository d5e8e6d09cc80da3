// What the checks of one TDX quote share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"
#include "trust/verify/gpu/context.h"
#include "trust/verify/tdx/tcb.h"

namespace ccgpu::verify {

inline constexpr ChainCodes kTdxCodes = {"tdx.chain-malformed",  "tdx.untrusted-root",    "tdx.chain-invalid",
                                         "tdx.chain-expired",    "tdx.revoked",           "tdx.revocation-unknown",
                                         "tdx.revocation-stale", "tdx.revocation-missing"};
// All of Intel's certificates are P-256, signed with ECDSA and SHA-256.
inline constexpr ChainProfile kIntelProfile = {
    .leaf_key = crypto::KeyType::kP256, .issuer_key = crypto::KeyType::kP256, .hash = crypto::Hash::kSha256};

inline const std::string kTdxQuoteDocument = "tdx/quote", kTdxChainDocument = "tdx/pck-chain",
                         kTcbInfoDocument = "tdx/tcb-info", kQeIdentityDocument = "tdx/qe-identity",
                         kTdxLogDocument = "tdx/event-log";
inline const std::string kNoQuote = "there is no quote that could be parsed",
                         kNoPckChain = "there is no PCK chain that ends in a pinned root";

struct TdxContext {
  const evidence::TdxEvidence& evidence;
  const TdxOptions& options;
  SharedContext& shared;

  std::optional<evidence::TdxQuote> quote;
  std::optional<evidence::QeReport> qe;
  std::vector<crypto::Certificate> chain;  // PCK, its CA, pinned root; empty until the root was found
  std::optional<evidence::PckExtensions> pck;
  std::optional<evidence::TcbInfo> tcb_info;        // genuine and current
  std::optional<evidence::QeIdentity> qe_identity;  // genuine and current
  std::optional<TcbStanding> tcb;
  bool log_replayed = false;
  // The signer of Intel's documents, judged once: both usually come with the same chain, and reading keys is dear.
  struct Issuer {
    std::string pem;
    Status status = Err("evidence.not-verified", "", "nothing was judged");
    crypto::Certificate signer;
  };
  std::optional<Issuer> issuer = {};

  // Byte of the quote for an offset in the TD report; meaningful when there is a quote.
  size_t At(size_t body_offset) const { return (quote ? quote->body_offset : 0) + body_offset; }
};

// The lists, in the order in which they run.
std::span<const NamedCheck<TdxContext>> TdxQuoteChecks();
std::span<const NamedCheck<TdxContext>> TdxTcbChecks();
std::span<const NamedCheck<TdxContext>> TdxGuestChecks();

bool RunTdxChecks(TdxContext& context, std::vector<Check>& checks);
// CoCo's TDX claims and what we add to them.
nlohmann::ordered_json TdxClaims(const TdxContext& context);

}  // namespace ccgpu::verify
