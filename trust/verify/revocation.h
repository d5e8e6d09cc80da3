// Revocation by OCSP and CRL out of collateral. Included by trust/verify's own sources only.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"
#include "trust/verify/chain.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {

struct RevocationRules {
  bool required = true;
  bool allow_hold = false;
  std::chrono::seconds max_age{};
};

// The collateral's documents, parsed once per call. Documents that cannot be parsed say nothing (and nobody can rely on
// them). Not for several threads.
class Revocation {
 public:
  Revocation(const Collateral& collateral, LinkCache& links, TimePoint now);

  // Whether chain[index] (leaf first, pinned root last) is known to be good. Codes: revoked, revocation_unknown,
  // revocation_stale, revocation_missing; the text names the certificate and what was looked for.
  Status Check(const std::vector<crypto::Certificate>& chain, size_t index, const RevocationRules& rules,
               const ChainCodes& codes);

 private:
  // What an authentic document says about one certificate.
  struct Statement {
    evidence::CertStatus status;
    int reason = -1;
    TimePoint this_update{};
    std::optional<TimePoint> next_update;
    std::string source;
  };
  bool IsAuthentic(size_t response, const std::vector<crypto::Certificate>& chain, size_t index);
  bool IsSigned(size_t response, const crypto::Certificate& responder);
  std::vector<Statement> StatementsAbout(const std::vector<crypto::Certificate>& chain, size_t index);

  std::vector<evidence::OcspResponse> responses_;
  std::vector<evidence::Crl> crls_;
  std::map<std::pair<size_t, std::string>, bool> signed_;  // (response, responder's certificate) -> signature holds
  LinkCache& links_;
  TimePoint now_;
  size_t unreadable_ = 0;
};

}  // namespace ccgpu::verify
