// What the attestation key signed: a quote, made for this challenge, over exactly the registers that were asked for.
#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {
namespace {

using evidence::TpmHashName;

const std::string kDocument = "tpm/quote", kSignatureDocument = "tpm/signature", kPcrDocument = "tpm/pcrs";
const std::string kNoQuote = "there is no quote that could be parsed";
constexpr size_t kMinNonce = 16, kMaxNonce = 64;

Finding NonceGiven(TpmContext& c) {
  if (c.options.nonce.size() >= kMinNonce && c.options.nonce.size() <= kMaxNonce) return Finding::Pass();
  return Finding::Fail(
      Err("tpm.nonce-missing", "", "the verifier was given no nonce of 16 to 64 bytes, so the quote's age is unknown"));
}

Finding Parsed(TpmContext& c) {
  auto quote = evidence::ParseTpmQuote(c.evidence.quote);
  if (!quote.ok())
    return Finding::Fail(Err("tpm.quote-malformed", "", quote.error().text)).At(kDocument, 0, c.evidence.quote.size());
  if (quote->magic != evidence::kTpmGenerated) {
    return Finding::Fail(Err("tpm.magic", "", "what was signed was not made by a TPM"))
        .Claim("magic", "ff544347", HexEncode(Writer().BigU32(quote->magic).bytes()))
        .At(kDocument, 0, 4);
  }
  if (quote->type != evidence::kTpmAttestQuote) {
    return Finding::Fail(Err("tpm.type", "", "the TPM signed something else than a quote"))
        .Claim("type", "8018", HexEncode(Writer().BigU16(quote->type).bytes()))
        .At(kDocument, 4, 2);
  }
  c.quote = std::move(*quote);
  return Finding::Pass();
}

// The algorithm follows from the key and the options; the signature may only say that it is that one.
Finding SignatureAlgorithm(TpmContext& c) {
  auto signature = evidence::ParseTpmSignature(c.evidence.signature);
  if (!signature.ok()) {
    return Finding::Fail(Err("tpm.quote-malformed", "", signature.error().text))
        .At(kSignatureDocument, 0, c.evidence.signature.size());
  }
  const bool strong = signature->hash == evidence::tpm_alg::kSha256 || signature->hash == evidence::tpm_alg::kSha384 ||
                      signature->hash == evidence::tpm_alg::kSha512;
  if (!strong && !(signature->hash == evidence::tpm_alg::kSha1 && c.options.allow_sha1)) {
    return Finding::Fail(Err("tpm.signature-algorithm", "", "the quote is signed over a digest that is not accepted"))
        .Claim("signature hash", "sha256, sha384 or sha512", TpmHashName(signature->hash))
        .At(kSignatureDocument, 2, 2);
  }
  if (c.area && c.area->scheme != evidence::tpm_alg::kNull &&
      (c.area->scheme != signature->algorithm || c.area->scheme_hash != signature->hash)) {
    return Finding::Fail(Err("tpm.signature-algorithm", "", "the key's public area allows another scheme only"))
        .At(kSignatureDocument, 0, 4);
  }
  c.signature = std::move(*signature);
  return Finding::Pass();
}

Finding Signature(TpmContext& c) {
  if (!c.key || !c.signature) return Finding::Skip("there is no key or signature that could be parsed");
  if (evidence::VerifyTpmSignature(*c.key, *c.signature, c.evidence.quote)) return Finding::Pass();
  return Finding::Fail(Err("tpm.signature-invalid", "", "the quote's signature does not fit the attestation key"))
      .At(kSignatureDocument, 0, c.evidence.signature.size());
}

Finding Nonce(TpmContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (c.options.nonce.size() >= kMinNonce && EqualConstantTime(c.quote->extra_data, c.options.nonce))
    return Finding::Pass();
  return Finding::Fail(
             Err("tpm.nonce-mismatch", "", "the quote answers another challenge: it is old, or somebody else's"))
      .Claim("report_data", HexEncode(c.options.nonce), HexEncode(c.quote->extra_data))
      .At(kDocument, c.quote->extra_data_offset, c.quote->extra_data.size());
}

std::string Words(uint16_t bank, const std::vector<uint32_t>& indices) {
  std::string out = TpmHashName(bank) + ":";
  for (size_t i = 0; i < indices.size(); ++i) out += (i ? "," : "") + std::to_string(indices[i]);
  return out;
}

Finding Selection(TpmContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  std::vector<uint32_t> wanted = c.options.pcrs;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::string found;
  for (const auto& selection : c.quote->selections)
    found += (found.empty() ? "" : "+") + Words(selection.hash, selection.Indices());
  const auto fail = [&](Reason code, std::string text) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim("pcr selection", Words(c.options.bank, wanted), found)
        .At(kDocument, c.quote->selection_offset, c.quote->digest_offset - 2 - c.quote->selection_offset);
  };
  const bool sha1 = std::any_of(c.quote->selections.begin(), c.quote->selections.end(),
                                [](const auto& s) { return s.hash == evidence::tpm_alg::kSha1; });
  if (sha1 && !c.options.allow_sha1)
    return fail("tpm.sha1-bank", "the quote is over the SHA-1 bank: SHA-1 collides, so it shows nothing");
  if (wanted.empty()) return fail("tpm.pcr-selection", "the verifier was asked for no registers at all");
  if (c.quote->selections.size() != 1 || c.quote->selections[0].hash != c.options.bank ||
      c.quote->selections[0].Indices() != wanted) {
    return fail("tpm.pcr-selection", "the quote is not over exactly the registers that were asked for");
  }
  return Finding::Pass();
}

Finding PcrDigest(TpmContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (!c.signature || c.quote->selections.size() != 1)
    return Finding::Skip("there is no signature or selection to go by");
  const evidence::TpmPcrSelection& selection = c.quote->selections[0];
  const auto size = evidence::TpmHashSize(selection.hash);
  const std::vector<uint32_t> indices = selection.Indices();
  const auto fail = [&](Reason code, std::string text) {
    return Finding::Fail(Err(code, "", std::move(text))).At(kPcrDocument, 0, 0);
  };
  if (!size) return fail("tpm.pcr-values", "the bank " + TpmHashName(selection.hash) + " is not known");
  Bytes all;
  for (uint32_t index : indices) {
    const auto value = c.evidence.pcrs.find(index);
    if (value == c.evidence.pcrs.end() || value->second.size() != *size) {
      return fail("tpm.pcr-values", "the value of PCR " + std::to_string(index) + " is missing or has not " +
                                        std::to_string(*size) + " bytes");
    }
    Append(all, value->second);
  }
  // A value that the quote does not cover is nobody's word; saying nothing of it would look like believing it.
  if (c.evidence.pcrs.size() != indices.size())
    return fail("tpm.pcr-values", "values of registers that the quote does not cover were brought");
  const Bytes digest = evidence::TpmDigest(c.signature->hash, all);
  c.registers_hold = EqualConstantTime(digest, c.quote->pcr_digest);
  if (c.registers_hold) return Finding::Pass();
  return Finding::Fail(Err("tpm.pcr-digest-mismatch", "", "the register values are not the quoted ones"))
      .Claim("pcrDigest", HexEncode(c.quote->pcr_digest), HexEncode(digest))
      .At(kDocument, c.quote->digest_offset, c.quote->pcr_digest.size());
}

Finding ExpectedPcrs(TpmContext& c) {
  if (c.options.expected_pcrs.empty()) return Finding::Skip("no expected values were given");
  if (!c.registers_hold) return Finding::Skip("the register values are not known");
  for (const auto& [index, expected] : c.options.expected_pcrs) {
    const auto found = c.evidence.pcrs.find(index);
    const Bytes value = found == c.evidence.pcrs.end() ? Bytes() : found->second;
    if (EqualConstantTime(value, expected)) continue;
    return Finding::Fail(
               Err("tpm.pcr-mismatch", "",
                   "PCR " + std::to_string(index) + " does not hold the expected value: something else was measured"))
        .Claim(std::string(index < 10 ? "pcr0" : "pcr") + std::to_string(index), HexEncode(expected), HexEncode(value))
        .At(kPcrDocument, 0, 0);
  }
  return Finding::Pass();
}

constexpr NamedCheck<TpmContext> kChecks[] = {
    {"quote.nonce-given", NonceGiven},
    {"quote.form", Parsed},
    {"quote.signature-algorithm", SignatureAlgorithm},
    {"quote.signature", Signature},
    {"quote.nonce", Nonce},
    {"quote.selection", Selection},
    {"quote.pcr-digest", PcrDigest},
    {"pcrs.expected", ExpectedPcrs, true},
};

}  // namespace

std::span<const NamedCheck<TpmContext>> TpmQuoteChecks() { return kChecks; }

}  // namespace ccgpu::verify
