#include "trust/verify/revocation.h"

#include <openssl/ocsp.h>

#include <algorithm>

namespace ccgpu::verify {
namespace {

constexpr std::chrono::seconds kSkew = std::chrono::minutes(5);  // between the responder's clock and ours
constexpr int kCertificateHold = 6;

std::string Described(const std::vector<crypto::Certificate>& chain, size_t index) {
  return "certificate " + std::to_string(index) + " (\"" + chain[index].SubjectCommonName() + "\")";
}

const char* Word(evidence::CertStatus status) {
  switch (status) {
    case evidence::CertStatus::kGood: return "good";
    case evidence::CertStatus::kRevoked: return "revoked";
    case evidence::CertStatus::kUnknown: return "unknown";
  }
  return "unknown";
}

// RFC 5280's name of a CRLReason.
std::string ReasonName(int reason) { return reason < 0 ? "unspecified" : OCSP_crl_reason_str(reason); }

}  // namespace

Revocation::Revocation(const Collateral& collateral, LinkCache& links, TimePoint now) : links_(links), now_(now) {
  for (const Bytes& der : collateral.ocsp_responses) {
    const ContentId id = IdOf(der);
    auto parsed = links.tables().ocsp.Get(id, [&] { return evidence::ParseOcspResponse(der); });
    parsed->ok() ? responses_.push_back({id, std::move(parsed)}) : void(++unreadable_);
  }
  for (const Bytes& der : collateral.crls) {
    const ContentId id = IdOf(der);
    auto parsed = links.tables().crls.Get(id, [&] { return evidence::ParseCrl(der); });
    parsed->ok() ? crls_.push_back({id, std::move(parsed)}) : void(++unreadable_);
  }
}

bool Revocation::IsSigned(const Responses::value_type& response, const crypto::Certificate& responder) {
  return *links_.tables().signatures.Get(IdOf("ocsp", response.id, links_.Id(responder)),
                                         [&] { return (*response).IsSignedBy(responder.key()); });
}

// Signed by the issuer itself, or by an OCSP signer that an issuer of the same chain appointed (RFC 6960 4.2.2.2;
// NVIDIA's responders hold certificates of a CA further up).
bool Revocation::IsAuthentic(const Responses::value_type& response, const std::vector<crypto::Certificate>& chain,
                             size_t index) {
  const evidence::OcspResponse& r = *response;
  const crypto::Certificate& issuer = chain[index + 1];
  if (r.NamesResponder(issuer) && IsSigned(response, issuer)) return true;
  for (const crypto::Certificate& responder : r.certificates) {
    if (!r.NamesResponder(responder) || !evidence::MayOcspSign(responder) || now_ < responder.NotBefore() ||
        now_ > responder.NotAfter())
      continue;
    const bool appointed = std::any_of(chain.begin() + static_cast<ptrdiff_t>(index) + 1, chain.end(),
                                       [&](const auto& ca) { return links_.IsSigned(responder, ca); });
    if (appointed && IsSigned(response, responder)) return true;
  }
  return false;
}

std::vector<Revocation::Statement> Revocation::StatementsAbout(const std::vector<crypto::Certificate>& chain,
                                                               size_t index) {
  std::vector<Statement> out;
  const crypto::Certificate &subject = chain[index], &issuer = chain[index + 1];
  const Bytes serial = subject.SerialNumber();
  for (const auto& response : responses_) {
    for (const evidence::OcspSingle& single : (*response).singles) {
      if (Equal(single.serial, serial) && single.IsAbout(subject, issuer) && IsAuthentic(response, chain, index))
        out.push_back({single.status, single.reason, single.this_update, single.next_update, false});
    }
  }
  for (const auto& crl : crls_) {
    const bool is_signed = *links_.tables().signatures.Get(IdOf("crl", crl.id, links_.Id(issuer)),
                                                           [&] { return (*crl).IsSignedBy(issuer); });
    if (!is_signed) continue;
    const evidence::CrlEntry* entry = (*crl).Find(serial);
    out.push_back({entry ? evidence::CertStatus::kRevoked : evidence::CertStatus::kGood, entry ? entry->reason : -1,
                   (*crl).this_update, (*crl).next_update, true});
  }
  return out;
}

RevocationState Revocation::Judge(const std::vector<crypto::Certificate>& chain, size_t index,
                                  const RevocationRules& rules, const ChainCodes& codes) {
  RevocationState out;
  std::vector<Statement> statements = StatementsAbout(chain, index);
  const auto what = [&] { return Described(chain, index); };
  // What carries a later time than ours counts for nothing: one of the two clocks is wrong.
  const auto is_early = [&](const Statement& s) { return s.this_update > now_ + kSkew; };
  const auto early = std::find_if(statements.begin(), statements.end(), is_early);
  const std::string not_yet = early == statements.end()
                                  ? ""
                                  : "; one of " + FormatTime(early->this_update) + " is not valid yet at " +
                                        FormatTime(now_) + ": is a clock wrong?";
  std::erase_if(statements, is_early);
  // A revocation that cannot be lifted counts whatever came later. Else the newest statement; of two from the same
  // second the worse.
  const auto is_final = [](const Statement& s) {
    return s.status == evidence::CertStatus::kRevoked && s.reason != kCertificateHold;
  };
  const Statement* counts = nullptr;
  for (const Statement& s : statements) {
    const bool newer = !counts || s.this_update > counts->this_update ||
                       (s.this_update == counts->this_update && s.status != evidence::CertStatus::kGood);
    const bool was_final = counts && is_final(*counts);
    if (is_final(s) ? !was_final || newer : !was_final && newer) counts = &s;
  }
  if (!counts) {
    if (rules.required) {
      out.status = Err(codes.revocation_missing, "",
                       "no authentic OCSP response or CRL about " + what() + " is in the collateral (" +
                           std::to_string(responses_.size()) + " responses, " + std::to_string(crls_.size()) +
                           " lists, " + std::to_string(unreadable_) + " unreadable)" + not_yet);
    }
    return out;
  }
  const std::chrono::seconds max_age =
      counts->is_crl && rules.crl_max_age.count() > 0 ? rules.crl_max_age : rules.max_age;
  const bool stale = (counts->next_update && now_ > *counts->next_update) || now_ - counts->this_update > max_age;
  const auto said = [&] {
    return std::string(counts->is_crl ? "CRL" : "OCSP") + " of " + FormatTime(counts->this_update);
  };
  out.said = Word(counts->status);
  out.fresh = !stale;
  if (counts->status == evidence::CertStatus::kRevoked) {
    out.reason = ReasonName(counts->reason);
    const bool hold = counts->reason == kCertificateHold;
    if (!(hold && rules.allow_hold)) {
      out.status = Err(codes.revoked, "",
                       what() + " is revoked (" +
                           (hold ? "on hold" : "reason " + std::to_string(counts->reason) + ", " + out.reason) +
                           ") says the " + said());
      return out;
    }
  } else if (counts->status == evidence::CertStatus::kUnknown && rules.required) {
    out.status = Err(codes.revocation_unknown, "", what() + " is unknown to the responder, says the " + said());
    return out;
  }
  if (stale && rules.required) {
    out.status =
        Err(codes.revocation_stale, "",
            "the newest statement about " + what() + " is the " + said() +
                (counts->next_update ? ", good until " + FormatTime(*counts->next_update) : "") + ", judged at " +
                FormatTime(now_) + " with a greatest age of " + std::to_string(max_age.count()) + " s");
  }
  return out;
}

}  // namespace ccgpu::verify
