// Revocation by OCSP and CRL out of collateral. Included by trust/verify's own sources only.
#pragma once

#include <chrono>
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
  bool allow_hold = false;             // reason certificateHold does not refuse
  std::chrono::seconds max_age{};      // of an OCSP statement
  std::chrono::seconds crl_max_age{};  // of a list; zero: as max_age
};

// What is known about one certificate, in the words of NVIDIA's claims.
struct RevocationState {
  Status status = Ok();            // revoked, revocation_unknown, revocation_stale, revocation_missing
  std::string said = "undefined";  // good | revoked | unknown | undefined (nobody said anything)
  std::string reason;              // of a revocation: "certificateHold"; "" otherwise
  bool fresh = false;              // the statement that counts is within its time
};

// The collateral's documents. Documents that cannot be parsed say nothing (and nobody can rely on them). Not for
// several threads.
class Revocation {
 public:
  Revocation(const Collateral& collateral, LinkCache& links, TimePoint now);

  // Whether chain[index] (leaf first, pinned root last) is known to be good; the status' text names the certificate and
  // what was looked for. A revocation is final: no newer statement undoes it, except that of certificateHold.
  RevocationState Judge(const std::vector<crypto::Certificate>& chain, size_t index, const RevocationRules& rules,
                        const ChainCodes& codes);
  Status Check(const std::vector<crypto::Certificate>& chain, size_t index, const RevocationRules& rules,
               const ChainCodes& codes) {
    return Judge(chain, index, rules, codes).status;
  }

 private:
  template <class T>
  struct Document {
    ContentId id;
    std::shared_ptr<const Result<T>> parsed;  // ok
    const T& operator*() const { return **parsed; }
  };
  // What an authentic document says about one certificate.
  struct Statement {
    evidence::CertStatus status;
    int reason = -1;
    TimePoint this_update{};
    std::optional<TimePoint> next_update;
    bool is_crl = false;
  };
  using Responses = std::vector<Document<evidence::OcspResponse>>;
  bool IsAuthentic(const Responses::value_type& response, const std::vector<crypto::Certificate>& chain, size_t index);
  bool IsSigned(const Responses::value_type& response, const crypto::Certificate& responder);
  std::vector<Statement> StatementsAbout(const std::vector<crypto::Certificate>& chain, size_t index);

  Responses responses_;
  std::vector<Document<evidence::Crl>> crls_;
  LinkCache& links_;
  TimePoint now_;
  size_t unreadable_ = 0;
};

}  // namespace ccgpu::verify
