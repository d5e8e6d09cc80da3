// The checks of a TDX quote's signatures: quote <- attestation key <- quoting enclave <- PCK certificate <- Intel's
// root.
#include "base/encoding.h"
#include "trust/verify/anchors.h"
#include "trust/verify/tdx/context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::tdx_offset;

constexpr char kIntelQuotingEnclave[] = "939a7233f79c4ca9940a0db3957f0607";
// From the end of what is signed: length of the signature data, signature, attestation key, type and length of the
// certification data, QE report.
constexpr size_t kSignatureAt = 4, kKeyAt = kSignatureAt + 64, kQeReportAt = kKeyAt + 64 + 6,
                 kQeSignatureAt = kQeReportAt + evidence::kQeReportSize;

Finding ReportDataGiven(TdxContext& c) {
  if (c.options.report_data.size() == 64) return Finding::Pass();
  return Finding::Fail(Err("tdx.report-data-missing", "",
                           "the verifier was given no 64 bytes of report data to compare with, so the quote's age and "
                           "purpose are unknown"));
}

// The words that choose format, algorithm and kind of TEE: fixed here, never taken from the quote.
Finding Header(TdxContext& c) {
  const auto header = evidence::ParseTdxHeader(c.evidence.quote);
  if (!header.ok())
    return Finding::Fail(Err("tdx.quote-malformed", "", header.error().text))
        .At(kTdxQuoteDocument, 0, c.evidence.quote.size());
  if (header->version != 4 && header->version != 5) {
    return Finding::Fail(Err("tdx.quote-version", "", "only quotes of version 4 and 5 are verified"))
        .Claim("version", "4 or 5", std::to_string(header->version))
        .At(kTdxQuoteDocument, at::kVersion, 2);
  }
  if (header->key_type != evidence::kTdxKeyEcdsaP256) {
    return Finding::Fail(Err("tdx.key-type", "", "only quotes signed with ECDSA P-256 are verified"))
        .Claim("attestation_key_type", "2", std::to_string(header->key_type))
        .At(kTdxQuoteDocument, at::kKeyType, 2);
  }
  if (header->tee_type != evidence::kTeeTypeTdx) {
    return Finding::Fail(Err("tdx.tee-type", "", "the quote is not of a TDX guest (0 would be an SGX enclave)"))
        .Claim("tee_type", std::to_string(evidence::kTeeTypeTdx), std::to_string(header->tee_type))
        .At(kTdxQuoteDocument, at::kTeeType, 4);
  }
  return Finding::Pass();
}

Finding Parsed(TdxContext& c) {
  auto quote = evidence::ParseTdxQuote(c.evidence.quote);
  if (!quote.ok())
    return Finding::Fail(Err("tdx.quote-malformed", "", quote.error().text))
        .At(kTdxQuoteDocument, 0, c.evidence.quote.size());
  auto qe = evidence::ParseQeReport(quote->qe_report_bytes);
  if (!qe.ok())
    return Finding::Fail(Err("tdx.quote-malformed", "", "QE report: " + qe.error().text))
        .At(kTdxQuoteDocument, quote->signed_size + kQeReportAt, evidence::kQeReportSize);
  c.quote = std::move(*quote);
  c.qe = std::move(*qe);
  return Finding::Pass();
}

Finding Vendor(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (HexEncode(c.quote->vendor) == kIntelQuotingEnclave) return Finding::Pass();
  return Finding::Fail(Err("tdx.qe-vendor", "", "the quoting enclave is not Intel's"))
      .Claim("qe_vendor_id", kIntelQuotingEnclave, HexEncode(c.quote->vendor))
      .At(kTdxQuoteDocument, at::kVendor, 16);
}

// The quote brings its own root; only the pinned one of the same key is used.
Finding ChainRoot(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  auto list = StrictPemList(c.quote->pck_chain, 3, kTdxCodes);
  if (!list.ok()) return Finding::Fail(list.error()).At(kTdxChainDocument, 0, c.quote->pck_chain.size());
  if (list->size() != 3) {
    return Finding::Fail(Err("tdx.chain-malformed", "",
                             "the quote brings " + std::to_string(list->size()) +
                                 " certificates, expected PCK certificate, its CA and the root"))
        .At(kTdxChainDocument, 0, c.quote->pck_chain.size());
  }
  const crypto::Certificate* root = FindAnchor(c.shared.anchors.intel_roots, list->back());
  if (!root) {
    return Finding::Fail(Err("tdx.untrusted-root", "",
                             "the root \"" + list->back().SubjectName() + "\" is none of the " +
                                 std::to_string(c.shared.anchors.intel_roots.size()) + " pinned Intel roots"))
        .At(kTdxChainDocument, 0, c.quote->pck_chain.size());
  }
  c.chain = {(*list)[0], (*list)[1], *root};
  return Finding::Pass();
}

Finding ChainEnvironment(TdxContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  return CheckEnvironment(c.chain.back(), RootKind::kIntel, c.shared.anchors.insecure_accept_emulated,
                          c.shared.environment);
}

Finding ChainLinks(TdxContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  Status status = CheckLinks(c.chain, kIntelProfile, kTdxCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(c.chain, c.shared.now, kTdxCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(kTdxChainDocument, 0, 0);
}

// A PCK certificate says which platform its key is of. Intel's root also issues the signers of collateral and, through
// the same CAs, certificates of SGX enclaves' platforms: the name and the extension tell them apart.
Finding ChainProfileFits(TdxContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  const auto fail = [](std::string text) {
    return Finding::Fail(Err("tdx.chain-profile", "", std::move(text))).At(kTdxChainDocument, 0, 0);
  };
  if (c.chain[0].SubjectCommonName() != "Intel SGX PCK Certificate")
    return fail("\"" + c.chain[0].SubjectCommonName() + "\" is no PCK certificate");
  const std::string ca = c.chain[1].SubjectCommonName();
  if (ca != "Intel SGX PCK Platform CA" && ca != "Intel SGX PCK Processor CA")
    return fail("\"" + ca + "\" issues no PCK certificates");
  auto pck = evidence::ReadPckExtensions(c.chain[0]);
  if (!pck.ok()) return fail("SGX extension " + pck.error().text);
  c.pck = std::move(*pck);
  return Finding::Pass();
}

// The root's list speaks of the CA, the CA's own list of the PCK certificate.
Finding ChainRevocation(TdxContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  const RevocationRules rules{.required = c.options.require_revocation,
                              .allow_hold = false,
                              .max_age = c.options.revocation_max_age,
                              .crl_max_age = c.options.revocation_max_age};
  for (const size_t index : {size_t{1}, size_t{0}}) {
    Status status = c.shared.revocation.Check(c.chain, index, rules, kTdxCodes);
    if (!status.ok()) return Finding::Fail(std::move(status).error()).At(kTdxChainDocument, 0, 0);
  }
  return Finding::Pass();
}

Finding QeSignature(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (c.chain.empty()) return Finding::Skip(kNoPckChain);
  const crypto::PublicKey key = c.chain[0].key();
  if (key.type() == crypto::KeyType::kP256 &&
      key.VerifyRaw(crypto::Hash::kSha256, c.quote->qe_report_bytes, c.quote->qe_signature))
    return Finding::Pass();
  return Finding::Fail(
             Err("tdx.qe-signature-invalid", "", "the QE report's signature does not fit the PCK certificate's key"))
      .At(kTdxQuoteDocument, c.quote->signed_size + kQeSignatureAt, 64);
}

// The quoting enclave vouches for the attestation key by its digest in REPORTDATA.
Finding KeyBinding(TdxContext& c) {
  if (!c.quote || !c.qe) return Finding::Skip(kNoQuote);
  const Bytes expected = evidence::AttestationKeyBinding(c.quote->attestation_key, c.quote->qe_auth_data);
  if (EqualConstantTime(expected, c.qe->report_data)) return Finding::Pass();
  return Finding::Fail(
             Err("tdx.key-binding", "", "the attestation key is not the one that the quoting enclave vouches for"))
      .Claim("qe_report_data", HexEncode(expected), HexEncode(c.qe->report_data))
      .At(kTdxQuoteDocument, c.quote->signed_size + kKeyAt, 64);
}

Finding QuoteSignature(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const auto key = crypto::PublicKey::FromPoint(crypto::KeyType::kP256, c.quote->attestation_key);
  const ByteView body = ByteView(c.evidence.quote).first(c.quote->signed_size);
  if (key.ok() && key->VerifyRaw(crypto::Hash::kSha256, body, c.quote->signature)) return Finding::Pass();
  return Finding::Fail(Err("tdx.signature-invalid", "",
                           key.ok() ? "the quote's signature does not fit the attestation key"
                                    : "the attestation key is no point on P-256"))
      .At(kTdxQuoteDocument, c.quote->signed_size + kSignatureAt, 64);
}

constexpr NamedCheck<TdxContext> kChecks[] = {
    {"report-data.given", ReportDataGiven},
    {"quote.header", Header},
    {"quote.parsed", Parsed},
    {"quote.vendor", Vendor},
    {"chain.root", ChainRoot},
    {"chain.environment", ChainEnvironment},
    {"chain.links", ChainLinks},
    {"chain.profile", ChainProfileFits},
    {"chain.revocation", ChainRevocation},
    {"qe.signature", QeSignature},
    {"qe.key-binding", KeyBinding},
    {"quote.signature", QuoteSignature},
};

}  // namespace

std::span<const NamedCheck<TdxContext>> TdxQuoteChecks() { return kChecks; }

}  // namespace ccgpu::verify
