#include "collateral/describe.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"

namespace ccgpu::collateral {
namespace {

// NVIDIA's 9999-12-31 means that there is no end.
void EndWith(Description& out, TimePoint end) {
  if (end >= ParseTime("9999-01-01").value()) return;
  if (!out.until || end < *out.until) out.until = end;
}

void DescribeRim(const Document& document, Description& out) {
  auto rim = evidence::ParseRim(document.content);
  if (!rim.ok()) {
    out.problem = rim.error().text;
    return;
  }
  const size_t active = std::count_if(rim->measurements.begin(), rim->measurements.end(),
                                      [](const evidence::RimMeasurement& m) { return m.active; });
  out.what = "reference manifest, version " + rim->colloquial_version + ", " + std::to_string(active) + " measurements";
  out.for_whom = rim->product.empty() ? rim->name : rim->product;
  if (rim->edition == "SWITCH") out.for_whom += " (switch)";
  if (rim->chain.empty()) return;
  out.signer = rim->chain[0].SubjectCommonName();
  for (const crypto::Certificate& certificate : rim->chain) {
    if (!out.from || certificate.NotBefore() > *out.from) out.from = certificate.NotBefore();
    EndWith(out, certificate.NotAfter());
  }
}

void DescribeOcsp(const Document& document, Description& out) {
  auto response = evidence::ParseOcspResponse(AsBytes(document.content));
  if (!response.ok()) {
    out.problem = response.error().text;
    return;
  }
  out.what = "revocation answer:";
  for (const evidence::OcspSingle& single : response->singles) {
    const char* status = single.status == evidence::CertStatus::kGood      ? " good"
                         : single.status == evidence::CertStatus::kRevoked ? " REVOKED"
                                                                           : " unknown";
    out.what += status;
    if (single.status == evidence::CertStatus::kRevoked && single.reason == 6) out.what += " (on hold)";
    out.for_whom += (out.for_whom.empty() ? "certificate " : ", ") + HexEncode(single.serial);
    if (!out.from || single.this_update > *out.from) out.from = single.this_update;
    if (single.next_update) EndWith(out, *single.next_update);
  }
  if (!response->certificates.empty()) out.signer = response->certificates[0].SubjectCommonName();
}

void DescribeCrl(const Document& document, Description& out) {
  auto crl = evidence::ParseCrl(AsBytes(document.content));
  if (!crl.ok()) {
    out.problem = crl.error().text;
    return;
  }
  out.what = "revocation list, " + std::to_string(crl->entries.size()) + " entries";
  out.for_whom = "certificates of " + crl->issuer_name;
  out.signer = crl->issuer_name;
  out.from = crl->this_update;
  if (const auto& next = crl->next_update) EndWith(out, *next);
}

void DescribeAmd(const Document& document, Description& out) {
  auto certificate = crypto::Certificate::FromDer(AsBytes(document.content));
  if (!certificate.ok()) {
    out.problem = certificate.error().text;
    return;
  }
  out.what = "certificate " + certificate->SubjectCommonName();
  out.signer = certificate->IssuerCommonName();
  out.from = certificate->NotBefore();
  EndWith(out, certificate->NotAfter());
  const auto read = evidence::ReadVcekExtensions(*certificate);
  const auto facts = read.ok() ? *read : evidence::VcekExtensions();
  if (facts.hardware_id || facts.csp_id) {
    out.for_whom = facts.product + ", " + facts.tcb.ToString();
    if (facts.hardware_id) out.for_whom += ", chip " + HexEncode(*facts.hardware_id).substr(0, 16) + "..";
    else out.for_whom += ", provider " + *facts.csp_id;
  } else {
    out.for_whom = "certificates below it";
  }
}

void DescribeIntel(const Document& document, Description& out) {
  const evidence::IntelDocument intel = IntelOf(document.content);
  const auto fill = [&](const auto& parsed, const std::string& what) {
    if (!parsed.ok()) return void(out.problem = parsed.error().text);
    out.what = what + ", evaluation number " + std::to_string(parsed->evaluation_number);
    out.from = parsed->issue_date;
    out.until = parsed->next_update;
  };
  if (document.kind == Kind::kIntelTcbInfo) {
    const auto parsed = evidence::ParseTcbInfo(intel.body);
    fill(parsed, "TCB levels");
    if (parsed.ok()) out.for_whom = "platforms of FMSPC " + HexEncode(parsed->fmspc);
  } else {
    fill(evidence::ParseQeIdentity(intel.body), "identity of the TDX quoting enclave");
    out.for_whom = "TDX quotes";
  }
  if (auto chain = crypto::Certificate::ListFromPem(intel.issuer_chain); chain.ok())
    out.signer = (*chain)[0].SubjectCommonName();
  else if (out.problem.empty()) out.problem = "it has no issuer chain";
}

}  // namespace

Description Describe(const Document& document) {
  Description out;
  out.kind = document.kind;
  out.name = document.name.empty() ? NameOfContent(document) : document.name;
  out.sha256 = HexEncode(crypto::Sha256(AsBytes(document.content)));
  switch (document.kind) {
    case Kind::kRim: DescribeRim(document, out); break;
    case Kind::kOcsp: DescribeOcsp(document, out); break;
    case Kind::kCrl: DescribeCrl(document, out); break;
    case Kind::kAmdCertificate: DescribeAmd(document, out); break;
    case Kind::kIntelTcbInfo:
    case Kind::kIntelQeIdentity: DescribeIntel(document, out); break;
  }
  return out;
}

Freshness FreshnessAt(const Description& description, TimePoint now) {
  if (!description.problem.empty()) return Freshness::kUnreadable;
  if (description.from && now < *description.from) return Freshness::kNotYet;
  if (description.until && now > *description.until) return Freshness::kOver;
  return Freshness::kFresh;
}

std::string_view WordOf(Freshness freshness) {
  switch (freshness) {
    case Freshness::kFresh: return "fresh";
    case Freshness::kNotYet: return "not yet valid";
    case Freshness::kOver: return "over";
    case Freshness::kUnreadable: return "unreadable";
  }
  return "unreadable";
}

}  // namespace ccgpu::collateral
