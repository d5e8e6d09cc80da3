// The checks of Intel's signed documents, and of platform, TDX module and quoting enclave against them.
#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/anchors.h"
#include "trust/verify/tdx/context.h"

namespace ccgpu::verify {
namespace {

const std::string kNoTcbInfo = "there is no genuine TCB info", kNoQeIdentity = "there is no genuine QE identity";
constexpr uint8_t kQeDebug = 1u << 1;  // SGX ATTRIBUTES.DEBUG

// TCB signing certificate, pinned root: of the same root as the quote, so that hardware and emulated do not mix.
Status JudgeIssuer(TdxContext& c, const std::string& pem, crypto::Certificate& signer) {
  ASSIGN_OR_RETURN(std::vector<crypto::Certificate> chain, StrictPemList(pem, 2, kTdxCodes));
  if (chain.size() != 2)
    return Err("tdx.chain-malformed", "",
               "the issuer chain has " + std::to_string(chain.size()) + " certificates, not signer and root");
  const crypto::Certificate& root = c.chain.back();
  if (FindAnchor({root}, chain[1]) == nullptr)
    return Err("tdx.untrusted-root", "", "the issuer chain ends in another root than the quote");
  chain[1] = root;
  if (chain[0].SubjectCommonName() != "Intel SGX TCB Signing")
    return Err("tdx.chain-profile", "", "\"" + chain[0].SubjectCommonName() + "\" signs no TCB documents");
  RETURN_IF_ERROR(CheckLinks(chain, kIntelProfile, kTdxCodes, c.shared.links));
  RETURN_IF_ERROR(CheckValidity(chain, c.shared.now, kTdxCodes));
  const RevocationRules rules{.required = c.options.require_revocation,
                              .allow_hold = false,
                              .max_age = c.options.revocation_max_age,
                              .crl_max_age = c.options.revocation_max_age};
  RETURN_IF_ERROR(c.shared.revocation.Check(chain, 0, rules, kTdxCodes));
  signer = chain[0];
  return Ok();
}

Status CheckIssuer(TdxContext& c, const evidence::IntelDocument& document, const evidence::SignedText& text) {
  if (!c.issuer || c.issuer->pem != document.issuer_chain) {
    TdxContext::Issuer issuer;
    issuer.pem = document.issuer_chain;
    issuer.status = JudgeIssuer(c, issuer.pem, issuer.signer);
    c.issuer = std::move(issuer);
  }
  RETURN_IF_ERROR(c.issuer->status);
  if (!c.issuer->signer.key().VerifyRaw(crypto::Hash::kSha256, AsBytes(text.text), text.signature))
    return Err("tdx.collateral-signature", "", "its signature does not fit the TCB signing certificate");
  return Ok();
}

template <class Document>
Status CheckDates(const Document& document, TimePoint now) {
  if (now >= document.issue_date && now <= document.next_update) return Ok();
  return Err("tdx.collateral-stale", "",
             "it is good from " + FormatTime(document.issue_date) + " to " + FormatTime(document.next_update) +
                 ", judged at " + FormatTime(now));
}

// Of the documents that are about this platform, the genuine one with the highest evaluation number. When none is
// genuine, what the first of them lacks.
template <class Document>
Finding Choose(TdxContext& c, const std::vector<evidence::IntelDocument>& documents,
               Result<Document> (*parse)(std::string_view), bool (*is_about)(const TdxContext&, const Document&),
               const std::string& name, Error missing, std::optional<Document>& chosen) {
  std::optional<Error> first;
  std::string unreadable;
  for (const evidence::IntelDocument& document : documents) {
    auto parsed = parse(document.body);
    if (!parsed.ok()) {
      if (unreadable.empty()) unreadable = "; one that is there cannot be read: " + parsed.error().ToString();
      continue;
    }
    if (!is_about(c, *parsed)) continue;
    Status status = CheckIssuer(c, document, parsed->signature);
    if (status.ok()) status = CheckDates(*parsed, c.shared.now);
    if (!status.ok()) {
      if (!first) first = std::move(status).error();
    } else if (!chosen || parsed->evaluation_number > chosen->evaluation_number) {
      chosen = std::move(*parsed);
    }
  }
  if (chosen) return Finding::Pass();
  missing.text += unreadable;
  return Finding::Fail(first ? *first : std::move(missing)).At(name, 0, 0);
}

Finding TcbInfoGenuine(TdxContext& c) {
  if (!c.pck) return Finding::Skip(kNoPckChain);
  const auto is_about = [](const TdxContext& context, const evidence::TcbInfo& info) {
    return info.fmspc == context.pck->fmspc && info.pce_id == context.pck->pce_id;
  };
  return Choose<evidence::TcbInfo>(
      c, c.shared.collateral.tcb_infos, evidence::ParseTcbInfo, is_about, kTcbInfoDocument,
      Err("tdx.tcb-info-missing", "",
          "the collateral has no TDX TCB info for FMSPC " + HexEncode(c.pck->fmspc) + ", PCE " +
              HexEncode(c.pck->pce_id) + " (" + std::to_string(c.shared.collateral.tcb_infos.size()) + " for others)"),
      c.tcb_info);
}

Finding QeIdentityGenuine(TdxContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  const auto is_about = [](const TdxContext&, const evidence::QeIdentity&) { return true; };
  return Choose<evidence::QeIdentity>(
      c, c.shared.collateral.qe_identities, evidence::ParseQeIdentity, is_about, kQeIdentityDocument,
      Err("tdx.qe-identity-missing", "", "the collateral has no identity of the TD quoting enclave"), c.qe_identity);
}

// Old collateral is genuine too, and knows no newer weakness.
Finding EvaluationNumber(TdxContext& c) {
  if (!c.tcb_info) return Finding::Skip(kNoTcbInfo);
  if (!c.qe_identity) return Finding::Skip(kNoQeIdentity);
  const uint32_t lower = std::min(c.tcb_info->evaluation_number, c.qe_identity->evaluation_number);
  if (lower >= c.options.minimum_evaluation_number) return Finding::Pass();
  return Finding::Fail(Err("tdx.collateral-rolled-back", "",
                           "TCB info or QE identity are of an older TCB evaluation than the oldest accepted one"))
      .Claim("tcbEvaluationDataNumber", std::to_string(c.options.minimum_evaluation_number), std::to_string(lower))
      .At(lower == c.tcb_info->evaluation_number ? kTcbInfoDocument : kQeIdentityDocument, 0, 0);
}

bool MaskedEqual(ByteView value, ByteView mask, ByteView expected) {
  bool same = value.size() == mask.size() && value.size() == expected.size();
  for (size_t i = 0; same && i < value.size(); ++i) same = (value[i] & mask[i]) == expected[i];
  return same;
}

Finding QeFits(TdxContext& c) {
  if (!c.qe) return Finding::Skip(kNoQuote);
  if (!c.qe_identity) return Finding::Skip(kNoQeIdentity);
  const evidence::QeIdentity& expected = *c.qe_identity;
  const auto fail = [&](const char* claim, std::string want, std::string have) {
    return Finding::Fail(Err("tdx.qe-identity-mismatch", "",
                             "the quoting enclave is not the one that Intel's identity document describes"))
        .Claim(claim, std::move(want), std::move(have))
        .At(kTdxQuoteDocument, c.quote->signed_size, 0);
  };
  if (c.qe->attributes[0] & kQeDebug)
    return Finding::Fail(Err("tdx.qe-debug", "", "the quoting enclave runs in debug mode: its keys can be read"))
        .Claim("qe_attributes", "debug off", HexEncode(c.qe->attributes));
  Writer select;
  select.U32(c.qe->misc_select);
  if (!MaskedEqual(select.bytes(), expected.misc_select_mask, expected.misc_select))
    return fail("qe_miscselect", HexEncode(expected.misc_select), HexEncode(select.bytes()));
  if (!MaskedEqual(c.qe->attributes, expected.attributes_mask, expected.attributes))
    return fail("qe_attributes", HexEncode(expected.attributes), HexEncode(c.qe->attributes));
  if (c.qe->mr_signer != expected.mr_signer)
    return fail("qe_mrsigner", HexEncode(expected.mr_signer), HexEncode(c.qe->mr_signer));
  if (c.qe->isv_prod_id != expected.isv_prod_id)
    return fail("qe_isvprodid", std::to_string(expected.isv_prod_id), std::to_string(c.qe->isv_prod_id));
  return Finding::Pass();
}

// Intel's modules have a signer of zeros and no attributes; whatever the lists say, another signer is not Intel.
Finding Module(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const evidence::TdReport& body = c.quote->body;
  const auto fail = [&](const char* claim, ByteView want, ByteView have, size_t offset) {
    return Finding::Fail(Err("tdx.module-mismatch", "", "the TDX module is not Intel's, or not as Intel lists it"))
        .Claim(claim, HexEncode(want), HexEncode(have))
        .At(kTdxQuoteDocument, c.At(offset), have.size());
  };
  if (body.mr_signer_seam != Bytes(48))
    return fail("mrsigner_seam", Bytes(48), body.mr_signer_seam, evidence::td_offset::kMrSignerSeam);
  if (!c.tcb_info) return Finding::Skip(kNoTcbInfo);
  const evidence::TdxModuleIdentity* module = ModuleIdentity(*c.tcb_info, body.tee_tcb_svn);
  if (!module) {
    return Finding::Fail(
               Err("tdx.module-unknown", "", "the TCB info lists no TDX module " + ModuleId(body.tee_tcb_svn)))
        .At(kTdxQuoteDocument, c.At(evidence::td_offset::kTeeTcbSvn), 16);
  }
  if (body.mr_signer_seam != module->mr_signer)
    return fail("mrsigner_seam", module->mr_signer, body.mr_signer_seam, evidence::td_offset::kMrSignerSeam);
  Writer attributes;
  attributes.U64(body.seam_attributes);
  if (!MaskedEqual(attributes.bytes(), module->attributes_mask, module->attributes))
    return fail("seam_attributes", module->attributes, attributes.bytes(), evidence::td_offset::kSeamAttributes);
  return Finding::Pass();
}

Finding Tcb(TdxContext& c) {
  if (!c.quote || !c.qe) return Finding::Skip(kNoQuote);
  if (!c.pck) return Finding::Skip(kNoPckChain);
  if (!c.tcb_info) return Finding::Skip(kNoTcbInfo);
  if (!c.qe_identity) return Finding::Skip(kNoQeIdentity);
  const Bytes& svn = c.quote->body.tee_tcb_svn;
  const auto at = [&](Finding&& finding) {
    return std::move(finding).At(kTdxQuoteDocument, c.At(evidence::td_offset::kTeeTcbSvn), 16);
  };
  auto standing = EvaluateTcb(*c.tcb_info, *c.qe_identity, *c.pck, svn, c.qe->isv_svn);
  if (!standing.ok()) return at(Finding::Fail(standing.error()));
  c.tcb = std::move(*standing);
  // The module was updated under the running guest: the one that launched it and the one that runs now both count.
  if (const auto& now = c.quote->body.tee_tcb_svn2; now && *now != svn) {
    auto running = EvaluateTcb(*c.tcb_info, *c.qe_identity, *c.pck, *now, c.qe->isv_svn);
    if (!running.ok())
      return Finding::Fail(running.error()).At(kTdxQuoteDocument, c.At(evidence::td_offset::kTeeTcbSvn2), 16);
    running->status = WorseTcb(c.tcb->status, running->status);
    running->advisories.insert(running->advisories.end(), c.tcb->advisories.begin(), c.tcb->advisories.end());
    std::sort(running->advisories.begin(), running->advisories.end());
    running->advisories.erase(std::unique(running->advisories.begin(), running->advisories.end()),
                              running->advisories.end());
    if (running->status != c.tcb->status) c.tcb = std::move(*running);
    else c.tcb->advisories = std::move(running->advisories);
  }
  if (c.options.accepted_statuses.contains(c.tcb->status)) return Finding::Pass();
  std::string accepted, advisories;
  for (const evidence::TcbStatus status : c.options.accepted_statuses)
    accepted += (accepted.empty() ? "" : " or ") + std::string(evidence::TcbStatusName(status));
  for (const std::string& advisory : c.tcb->advisories) advisories += (advisories.empty() ? "" : ", ") + advisory;
  const auto part = [](const evidence::TcbVerdict& v) {
    return std::string(evidence::TcbStatusName(v.status)) + " (level of " + v.date + ")";
  };
  return at(
      Finding::Fail(Err("tdx.tcb-status", "",
                        "platform: " + part(c.tcb->platform) +
                            (c.tcb->module ? ", TDX module " + c.tcb->module_id + ": " + part(*c.tcb->module) : "") +
                            ", quoting enclave: " + part(c.tcb->qe) +
                            (advisories.empty() ? "" : "; advisories " + advisories)))
          .Claim("tcb_status", accepted, evidence::TcbStatusName(c.tcb->status)));
}

Finding MinimumSvn(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (!c.options.minimum_tee_tcb_svn) return Finding::Skip("no lowest TEE_TCB_SVN was given");
  const evidence::TdReport& body = c.quote->body;
  const Bytes& floor = *c.options.minimum_tee_tcb_svn;
  const auto below = [&](const Bytes& found) {
    bool good = floor.size() == found.size();
    for (size_t i = 0; good && i < found.size(); ++i) good = found[i] >= floor[i];
    return !good;
  };
  const auto fail = [&](const char* claim, const Bytes& found, size_t offset) {
    return Finding::Fail(Err("tdx.tcb-too-old", "", "a part of TEE_TCB_SVN is below the oldest accepted one"))
        .Claim(claim, HexEncode(floor), HexEncode(found))
        .At(kTdxQuoteDocument, c.At(offset), 16);
  };
  if (below(body.tee_tcb_svn)) return fail("tcb_svn", body.tee_tcb_svn, evidence::td_offset::kTeeTcbSvn);
  if (body.tee_tcb_svn2 && below(*body.tee_tcb_svn2))
    return fail("tee_tcb_svn2", *body.tee_tcb_svn2, evidence::td_offset::kTeeTcbSvn2);
  return Finding::Pass();
}

Finding Platform(TdxContext& c) {
  if (!c.options.platform_instance) return Finding::Skip("no platform was pinned");
  if (!c.pck) return Finding::Skip(kNoPckChain);
  if (c.pck->platform_instance == c.options.platform_instance) return Finding::Pass();
  return Finding::Fail(Err("tdx.platform-mismatch", "", "the quote is from another machine than the pinned one"))
      .Claim("platform_instance_id", HexEncode(*c.options.platform_instance),
             c.pck->platform_instance ? HexEncode(*c.pck->platform_instance) : "none")
      .At(kTdxChainDocument, 0, 0);
}

constexpr NamedCheck<TdxContext> kChecks[] = {
    {"collateral.tcb-info", TcbInfoGenuine},
    {"collateral.qe-identity", QeIdentityGenuine},
    {"collateral.evaluation-number", EvaluationNumber},
    {"qe.identity", QeFits},
    {"module", Module},
    {"tcb.status", Tcb},
    {"tcb.minimum", MinimumSvn, true},
    {"platform", Platform, true},
};

}  // namespace

std::span<const NamedCheck<TdxContext>> TdxTcbChecks() { return kChecks; }

}  // namespace ccgpu::verify
