// Who signed an SNP report: the VCEK or VLEK, its chain to AMD's pinned root, its certificate's facts, the signature.
#include <algorithm>

#include "trust/verify/anchors.h"
#include "trust/verify/snp/context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::snp_offset;
namespace key_info = evidence::snp_key_info;

constexpr size_t kHardwareIdSize = 64, kTurinHardwareIdSize = 8;

Finding FailInChain(Reason code, std::string text, std::string_view certificate) {
  return Finding::Fail(Err(code, "", std::move(text))).At("snp/certificates/" + std::string(certificate), 0, 0);
}

std::string SignerKind(const SnpContext& c) {
  return c.report && c.report->SigningKey() == kSnpSignedByVlek ? "VLEK" : "VCEK";
}

// The one certificate of this kind that the evidence brings.
Finding TakeSigner(SnpContext& c, const std::string& kind) {
  size_t found = 0;
  for (const evidence::SnpCertificate& certificate : c.evidence.certificates) {
    if (certificate.type != kind) continue;
    auto parsed = crypto::Certificate::FromDer(certificate.der);
    if (!parsed.ok()) return FailInChain("snp.chain-malformed", "the " + kind + " cannot be read", kind);
    c.signer = *parsed;
    ++found;
  }
  if (found == 1) return Finding::Pass();
  c.signer.reset();
  return FailInChain(
      "snp.chain-malformed",
      "the report is signed by a " + kind + ", the evidence brings " + std::to_string(found) + " of them", kind);
}

Finding SigningKey(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const uint32_t kind = c.report->SigningKey();
  const auto fail = [&](std::string text, const char* expected) {
    return Finding::Fail(Err("snp.signing-key", "", std::move(text)))
        .Claim("signing_key", expected, std::to_string(kind))
        .At(kSnpReport, at::kKeyInfo, 4);
  };
  if (c.report->key_info & key_info::kReserved) return fail("the key info has reserved bits set", "bits 5 to 31 clear");
  if (kind != kSnpSignedByVcek && kind != kSnpSignedByVlek) return fail("it is signed by no VCEK or VLEK", "0 or 1");
  if (c.report->key_info & key_info::kMaskChipKey && kind == kSnpSignedByVcek)
    return fail("the chip's key is masked, so no VCEK can have signed the report", "bit 1 clear");
  if (kind == kSnpSignedByVlek && !c.options.allow_vlek)
    return fail("it is signed by a cloud provider's VLEK, which is not allowed here", "0");
  return TakeSigner(c, SignerKind(c));
}

// Intermediates may come from the evidence or be known; the root is always the pinned one.
Finding ChainRoot(SnpContext& c) {
  if (!c.signer) return Finding::Skip("there is no VCEK or VLEK");
  const auto reaches_root = [&](const crypto::Certificate& ask) {
    if (!c.shared.links.IsSigned(*c.signer, ask)) return false;
    for (const crypto::Certificate& ark : c.shared.anchors.amd_roots) {
      if (!c.shared.links.IsSigned(ask, ark)) continue;
      c.chain = {*c.signer, ask, ark};
      return true;
    }
    return false;
  };
  for (const evidence::SnpCertificate& certificate : c.evidence.certificates) {
    if (certificate.type != "ASK" && certificate.type != "ASVK") continue;
    auto parsed = crypto::Certificate::FromDer(certificate.der);
    if (!parsed.ok())
      return FailInChain("snp.chain-malformed", "the " + certificate.type + " cannot be read", certificate.type);
    if (reaches_root(*parsed)) return Finding::Pass();
  }
  const auto& known = BuiltinAmdIntermediates();
  if (std::any_of(known.begin(), known.end(), reaches_root)) return Finding::Pass();
  return FailInChain("snp.untrusted-root",
                     "the chain from \"" + c.signer->IssuerName() + "\" ends in none of the " +
                         std::to_string(c.shared.anchors.amd_roots.size()) + " pinned AMD roots",
                     SignerKind(c));
}

Finding ChainEnvironment(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoSnpChain);
  return CheckEnvironment(c.chain.back(), RootKind::kAmd, c.shared.anchors.insecure_accept_emulated,
                          c.shared.environment);
}

Finding ChainLinks(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoSnpChain);
  const ChainProfile profile{crypto::KeyType::kP384, crypto::KeyType::kRsa4096, true, true};
  Status status = CheckLinks(c.chain, profile, kSnpCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(c.chain, c.shared.now, kSnpCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At("snp/certificates", 0, 0);
}

// AMD publishes CRLs of the ARK (they name ASKs and ASVKs): the signer itself has no list.
Finding ChainRevocation(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoSnpChain);
  const RevocationRules rules{c.options.require_revocation, false, c.options.revocation_max_age};
  Status status = c.shared.revocation.Check(c.chain, 1, rules, kSnpCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At("snp/certificates/ASK", 0, 0);
}

// The certificate is of the kind that the report says: a VCEK names a chip and no provider, a VLEK the other way round.
Finding ChainProfileFits(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoSnpChain);
  const std::string kind = SignerKind(c);
  const auto fail = [&](std::string text) { return FailInChain("snp.chain-profile", std::move(text), kind); };
  auto read = evidence::ReadVcekExtensions(c.chain[0]);
  if (!read.ok()) return fail(read.error().text);
  const evidence::VcekExtensions& extensions = *read;
  const bool vlek = kind == "VLEK";
  if (vlek ? !extensions.csp_id : !extensions.hardware_id)
    return fail(vlek ? "a VLEK without a provider id" : "a VCEK without a hardware id");
  if (vlek ? extensions.hardware_id.has_value() : extensions.csp_id.has_value())
    return fail(vlek ? "a VLEK that names a chip" : "a VCEK that names a provider");
  const size_t id_size = extensions.tcb.fmc ? kTurinHardwareIdSize : kHardwareIdSize;
  if (!vlek && extensions.hardware_id->size() != id_size) {
    return fail("the hardware id has " + std::to_string(extensions.hardware_id->size()) + " bytes, expected " +
                std::to_string(id_size) + " for this product");
  }
  if (c.chain[0].SubjectCommonName().find(kind) == std::string::npos) {
    return fail("the report says it is signed by a " + kind + ", the certificate is \"" +
                c.chain[0].SubjectCommonName() + "\"");
  }
  c.extensions = std::move(*read);
  return Finding::Pass();
}

Finding Provider(SnpContext& c) {
  if (!c.extensions) return Finding::Skip(kNoSnpChain);
  if (!c.extensions->csp_id) return Finding::Skip("a VCEK is no provider's key");
  if (c.options.csp_ids.empty()) return Finding::Skip("no provider was asked for");
  if (std::find(c.options.csp_ids.begin(), c.options.csp_ids.end(), *c.extensions->csp_id) != c.options.csp_ids.end())
    return Finding::Pass();
  return FailInChain("snp.provider-mismatch", "the VLEK is of another cloud provider than the allowed ones", "VLEK")
      .Claim("csp_id", c.options.csp_ids.front() + (c.options.csp_ids.size() > 1 ? " or another allowed one" : ""),
             *c.extensions->csp_id);
}

Finding Signature(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.chain.empty()) return Finding::Skip(kNoSnpChain);
  if (c.report->signature_algorithm != 1) {
    return Finding::Fail(Err("snp.signature-algorithm", "",
                             "signature algorithm " + std::to_string(c.report->signature_algorithm) +
                                 ", expected 1 (ECDSA P-384 with SHA-384)"))
        .Claim("sig_algo", "1", std::to_string(c.report->signature_algorithm))
        .At(kSnpReport, at::kSignatureAlgorithm, 4);
  }
  const crypto::PublicKey key = c.chain[0].key();
  const Bytes raw = c.report->RawSignature();
  const ByteView body = ByteView(c.evidence.report).first(evidence::kSnpSignedSize);
  if (key.type() == crypto::KeyType::kP384 && raw.size() == 96 && key.VerifyRaw(crypto::Hash::kSha384, body, raw))
    return Finding::Pass();
  return Finding::Fail(Err("snp.signature-invalid", "",
                           "the report's signature does not fit the key of \"" + c.chain[0].SubjectCommonName() + "\""))
      .At(kSnpReport, at::kSignature, 144);
}

constexpr NamedCheck<SnpContext> kChecks[] = {
    {"signing-key", SigningKey},
    {"chain.root", ChainRoot},
    {"chain.environment", ChainEnvironment},
    {"chain.links", ChainLinks},
    {"chain.revocation", ChainRevocation},
    {"chain.profile", ChainProfileFits},
    {"chain.provider", Provider, true},
    {"report.signature", Signature},
};

}  // namespace

std::span<const NamedCheck<SnpContext>> SnpChainChecks() { return kChecks; }

}  // namespace ccgpu::verify
