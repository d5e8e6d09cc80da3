#include "trust/verify/revocation.h"

#include <algorithm>

namespace ccgpu::verify {
namespace {

constexpr std::chrono::seconds kSkew = std::chrono::minutes(5);  // between the responder's clock and ours
constexpr int kCertificateHold = 6;

std::string Described(const std::vector<crypto::Certificate>& chain, size_t index) {
  return "certificate " + std::to_string(index) + " (\"" + chain[index].SubjectCommonName() + "\")";
}

}  // namespace

Revocation::Revocation(const Collateral& collateral, LinkCache& links, TimePoint now) : links_(links), now_(now) {
  for (const Bytes& der : collateral.ocsp_responses) {
    auto response = evidence::ParseOcspResponse(der);
    response.ok() ? responses_.push_back(std::move(*response)) : void(++unreadable_);
  }
  for (const Bytes& der : collateral.crls) {
    auto crl = evidence::ParseCrl(der);
    crl.ok() ? crls_.push_back(std::move(*crl)) : void(++unreadable_);
  }
}

bool Revocation::IsSigned(size_t response, const crypto::Certificate& responder) {
  const auto [it, is_new] = signed_.try_emplace({response, ToText(responder.Der())}, false);
  if (is_new) it->second = responses_[response].IsSignedBy(responder.key());
  return it->second;
}

// Signed by the issuer itself, or by an OCSP signer that an issuer of the same chain appointed (RFC 6960 4.2.2.2;
// NVIDIA's responders hold certificates of a CA further up).
bool Revocation::IsAuthentic(size_t response, const std::vector<crypto::Certificate>& chain, size_t index) {
  const evidence::OcspResponse& r = responses_[response];
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
  for (size_t i = 0; i < responses_.size(); ++i) {
    for (const evidence::OcspSingle& single : responses_[i].singles) {
      if (single.IsAbout(subject, issuer) && IsAuthentic(i, chain, index))
        out.push_back({single.status, single.reason, single.this_update, single.next_update, "OCSP"});
    }
  }
  for (const evidence::Crl& crl : crls_) {
    if (!crl.IsSignedBy(issuer)) continue;
    const evidence::CrlEntry* entry = crl.Find(subject.SerialNumber());
    out.push_back({entry ? evidence::CertStatus::kRevoked : evidence::CertStatus::kGood, entry ? entry->reason : -1,
                   crl.this_update, crl.next_update, "CRL"});
  }
  std::erase_if(out, [&](const Statement& s) { return s.this_update > now_ + kSkew; });
  return out;
}

Status Revocation::Check(const std::vector<crypto::Certificate>& chain, size_t index, const RevocationRules& rules,
                         const ChainCodes& codes) {
  const std::vector<Statement> statements = StatementsAbout(chain, index);
  const std::string what = Described(chain, index);
  // The newest statement counts; of two from the same second the worse.
  const Statement* newest = nullptr;
  for (const Statement& s : statements) {
    if (!newest || s.this_update > newest->this_update ||
        (s.this_update == newest->this_update && s.status != evidence::CertStatus::kGood))
      newest = &s;
  }
  if (!newest) {
    if (!rules.required) return Ok();
    return Err(codes.revocation_missing, "",
               "no authentic OCSP response or CRL about " + what + " is in the collateral (" +
                   std::to_string(responses_.size()) + " responses, " + std::to_string(crls_.size()) + " lists, " +
                   std::to_string(unreadable_) + " unreadable)");
  }
  const std::string said = newest->source + " of " + FormatTime(newest->this_update);
  if (newest->status == evidence::CertStatus::kRevoked) {
    const bool hold = newest->reason == kCertificateHold;
    if (!(hold && rules.allow_hold)) {
      return Err(codes.revoked, "",
                 what + " is revoked (" + (hold ? "on hold" : "reason " + std::to_string(newest->reason)) +
                     ") says the " + said);
    }
  } else if (newest->status == evidence::CertStatus::kUnknown && rules.required) {
    return Err(codes.revocation_unknown, "", what + " is unknown to the responder, says the " + said);
  }
  const bool stale = (newest->next_update && now_ > *newest->next_update) || now_ - newest->this_update > rules.max_age;
  if (stale && rules.required) {
    return Err(codes.revocation_stale, "",
               "the newest statement about " + what + " is the " + said +
                   (newest->next_update ? ", good until " + FormatTime(*newest->next_update) : "") + ", judged at " +
                   FormatTime(now_) + " with a greatest age of " + std::to_string(rules.max_age.count()) + " s");
  }
  return Ok();
}

}  // namespace ccgpu::verify
