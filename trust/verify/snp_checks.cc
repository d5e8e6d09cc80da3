// The checks of an SNP report and of the certificates that it is signed under.
#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/anchors.h"
#include "trust/verify/snp_context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::snp_offset;
namespace policy = evidence::snp_policy;

const std::string kDocument = "snp/report", kChainDocument = "snp/certificates";
const std::string kNoReport = "there is no report that could be parsed",
                  kNoChain = "there is no chain that ends in a pinned root";
constexpr uint32_t kVcek = 0, kVlek = 1, kMaskChipKey = 1u << 1, kKeyInfoReserved = ~0x1fu;
constexpr uint64_t kAliasCheckComplete = 1ull << 5;

std::string Hex64(uint64_t value) {
  Writer out;
  out.BigU64(value);
  return "0x" + HexEncode(out.bytes());
}

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

Finding ReportDataGiven(SnpContext& c) {
  if (c.options.report_data.size() == 64) return Finding::Pass();
  return Finding::Fail(Err("snp.report-data-missing", "",
                           "the verifier was given no 64 bytes of report data to compare with, so the report's age and "
                           "purpose are unknown"));
}

Finding ReportParsed(SnpContext& c) {
  auto report = evidence::ParseSnpReport(c.evidence.report);
  if (!report.ok())
    return Finding::Fail(Err("snp.report-malformed", "", report.error().text))
        .At(kDocument, 0, c.evidence.report.size());
  c.report = std::move(*report);
  return Finding::Pass();
}

Finding SigningKey(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  const uint32_t kind = c.report->SigningKey();
  const auto fail = [&](std::string text) {
    return Finding::Fail(Err("snp.signing-key", "", std::move(text))).At(kDocument, at::kKeyInfo, 4);
  };
  if (c.report->key_info & kKeyInfoReserved)
    return fail("the key info has reserved bits set: " + Hex64(c.report->key_info));
  if (c.report->key_info & kMaskChipKey) return fail("the chip's key is masked, so the report is not signed");
  if (kind != kVcek && kind != kVlek)
    return fail("it is signed by no VCEK or VLEK (signing key " + std::to_string(kind) + ")");
  if (kind == kVlek && !c.options.allow_vlek)
    return fail("it is signed by a cloud provider's VLEK, which is not allowed here");
  const std::string wanted = kind == kVcek ? "VCEK" : "VLEK";
  size_t found = 0;
  for (const evidence::SnpCertificate& certificate : c.evidence.certificates) {
    if (certificate.type != wanted) continue;
    auto parsed = crypto::Certificate::FromDer(certificate.der);
    if (!parsed.ok())
      return Finding::Fail(Err("snp.chain-malformed", "", "the " + wanted + " cannot be read"))
          .At(kChainDocument, 0, 0);
    c.signer = *parsed;
    ++found;
  }
  if (found == 1) return Finding::Pass();
  c.signer.reset();
  return Finding::Fail(
             Err("snp.chain-malformed", "",
                 "the report is signed by a " + wanted + ", the evidence brings " + std::to_string(found) + " of them"))
      .At(kChainDocument, 0, 0);
}

// Intermediates may come from the evidence or be known; the root is always the pinned one.
Finding ChainRoot(SnpContext& c) {
  if (!c.signer) return Finding::Skip("there is no VCEK or VLEK");
  std::vector<crypto::Certificate> intermediates = BuiltinAmdIntermediates();
  for (const evidence::SnpCertificate& certificate : c.evidence.certificates) {
    if (certificate.type != "ASK" && certificate.type != "ASVK") continue;
    auto parsed = crypto::Certificate::FromDer(certificate.der);
    if (!parsed.ok())
      return Finding::Fail(Err("snp.chain-malformed", "", "the " + certificate.type + " cannot be read"))
          .At(kChainDocument, 0, 0);
    intermediates.push_back(*parsed);
  }
  const crypto::Certificate* ask = FindIssuer(intermediates, *c.signer);
  const crypto::Certificate* ark = ask ? FindIssuer(c.shared.anchors.amd_roots, *ask) : nullptr;
  if (!ark) {
    return Finding::Fail(Err("snp.untrusted-root", "",
                             "the chain from \"" + c.signer->IssuerName() + "\" ends in none of the " +
                                 std::to_string(c.shared.anchors.amd_roots.size()) + " pinned AMD roots"))
        .At(kChainDocument, 0, 0);
  }
  c.chain = {*c.signer, *ask, *ark};
  return Finding::Pass();
}

Finding ChainEnvironment(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  return CheckEnvironment(c.chain.back(), RootKind::kAmd, c.shared.anchors.insecure_accept_emulated,
                          c.shared.environment);
}

Finding ChainLinks(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  const ChainProfile profile{crypto::KeyType::kP384, crypto::KeyType::kRsa4096, true, true};
  Status status = CheckLinks(c.chain, profile, kSnpCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(c.chain, c.shared.now, kSnpCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(kChainDocument, 0, 0);
}

// AMD publishes CRLs of the ARK (they name ASKs and ASVKs and, for VLEKs, nothing below): the signer itself has no
// list.
Finding ChainRevocation(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  const RevocationRules rules{c.options.require_revocation, false, c.options.revocation_max_age};
  Status status = c.shared.revocation.Check(c.chain, 1, rules, kSnpCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(kChainDocument, 0, 0);
}

Finding ChainProfileFits(SnpContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  auto extensions = evidence::ReadVcekExtensions(c.chain[0]);
  if (!extensions.ok())
    return Finding::Fail(Err("snp.chain-profile", "", extensions.error().text)).At(kChainDocument, 0, 0);
  const bool vlek = c.report->SigningKey() == kVlek;
  if (vlek ? !extensions->csp_id : !extensions->hardware_id) {
    return Finding::Fail(
               Err("snp.chain-profile", "", vlek ? "a VLEK without a provider id" : "a VCEK without a hardware id"))
        .At(kChainDocument, 0, 0);
  }
  if (c.chain[0].SubjectCommonName().find(vlek ? "VLEK" : "VCEK") == std::string::npos) {
    return Finding::Fail(Err("snp.chain-profile", "",
                             "the report says it is signed by a " + std::string(vlek ? "VLEK" : "VCEK") +
                                 ", the certificate is \"" + c.chain[0].SubjectCommonName() + "\""))
        .At(kChainDocument, 0, 0);
  }
  c.extensions = std::move(*extensions);
  return Finding::Pass();
}

Finding Signature(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  if (c.report->signature_algorithm != 1) {
    return Finding::Fail(Err("snp.signature-algorithm", "",
                             "signature algorithm " + std::to_string(c.report->signature_algorithm) +
                                 ", expected 1 (ECDSA P-384 with SHA-384)"))
        .Claim("sig_algo", "1", std::to_string(c.report->signature_algorithm))
        .At(kDocument, at::kSignatureAlgorithm, 4);
  }
  const crypto::PublicKey key = c.chain[0].key();
  const Bytes raw = c.report->RawSignature();
  const ByteView body = ByteView(c.evidence.report).first(evidence::kSnpSignedSize);
  if (key.type() == crypto::KeyType::kP384 && raw.size() == 96 && key.VerifyRaw(crypto::Hash::kSha384, body, raw))
    return Finding::Pass();
  return Finding::Fail(Err("snp.signature-invalid", "",
                           "the report's signature does not fit the key of \"" + c.chain[0].SubjectCommonName() + "\""))
      .At(kDocument, at::kSignature, 144);
}

Finding ReportData(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.options.report_data.size() == 64 && EqualConstantTime(c.report->report_data, c.options.report_data))
    return Finding::Pass();
  return Finding::Fail(Err("snp.report-data-mismatch", "",
                           "the report is not bound to this challenge, key and device evidence: it is old, or was made "
                           "for someone else"))
      .Claim("report_data", HexEncode(c.options.report_data), HexEncode(c.report->report_data))
      .At(kDocument, at::kReportData, 64);
}

// One byte string that must have an expected value, when one was given.
Finding Expected(SnpContext& c, const std::optional<Bytes>& expected, const Bytes evidence::SnpReport::*member,
                 size_t offset, Reason code, const char* claim, const char* text) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (!expected) return Finding::Skip("no expected value was given");
  const Bytes& found = (*c.report).*member;
  if (EqualConstantTime(*expected, found)) return Finding::Pass();
  return Finding::Fail(Err(code, "", text))
      .Claim(claim, HexEncode(*expected), HexEncode(found))
      .At(kDocument, offset, found.size());
}

Finding HostData(SnpContext& c) {
  return Expected(c, c.options.host_data, &evidence::SnpReport::host_data, at::kHostData, "snp.host-data-mismatch",
                  "host_data",
                  "the sandbox was started with another initdata document (and so another policy) than this one");
}
Finding Measurement(SnpContext& c) {
  return Expected(c, c.options.measurement, &evidence::SnpReport::measurement, at::kMeasurement,
                  "snp.measurement-mismatch", "measurement", "the sandbox was started from another guest image");
}
Finding PinnedChip(SnpContext& c) {
  return Expected(c, c.options.chip_id, &evidence::SnpReport::chip_id, at::kChipId, "snp.chip-id-mismatch", "chip_id",
                  "the report is from another machine than the pinned one");
}

Finding Tcb(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (!c.extensions) return Finding::Skip(kNoChain);
  const bool turin = c.report->IsTurin();
  const auto split = [&](uint64_t tcb) { return evidence::SplitTcb(tcb, turin); };
  const evidence::TcbParts reported = split(c.report->reported_tcb), committed = split(c.report->committed_tcb),
                           current = split(c.report->current_tcb);
  const auto fail = [&](Reason code, std::string text, const evidence::TcbParts& expected,
                        const evidence::TcbParts& found) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim("reported_tcb", expected.ToString(), found.ToString())
        .At(kDocument, at::kReportedTcb, 8);
  };
  if (!(reported == c.extensions->tcb))
    return fail("snp.tcb-mismatch", "the key was certified for another firmware level than the report says",
                c.extensions->tcb, reported);
  if (!committed.AtLeast(reported))
    return fail("snp.tcb-mismatch", "the reported firmware level is above the committed one", committed, reported);
  if (!current.AtLeast(committed))
    return fail("snp.tcb-mismatch", "the committed firmware level is above the current one", current, committed);
  if (c.options.minimum_tcb && !reported.AtLeast(*c.options.minimum_tcb))
    return fail("snp.tcb-too-old", "the firmware level is below the oldest accepted one", *c.options.minimum_tcb,
                reported);
  if (c.options.require_committed_is_current && !(committed == current))
    return fail("snp.tcb-provisional", "the firmware is provisional: it can be rolled back", current, committed);
  return Finding::Pass();
}

Finding ChipId(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (!c.extensions) return Finding::Skip(kNoChain);
  const Bytes& found = c.report->chip_id;
  if (c.report->SigningKey() == kVlek) return Finding::Skip("a VLEK is not one chip's key");
  if (AllZero(found)) return Finding::Skip("the host masks the chip id");
  Bytes expected = *c.extensions->hardware_id;
  expected.resize(found.size());
  if (EqualConstantTime(expected, found)) return Finding::Pass();
  return Finding::Fail(
             Err("snp.chip-id-mismatch", "", "the report is from another chip than the key was certified for"))
      .Claim("chip_id", HexEncode(expected), HexEncode(found))
      .At(kDocument, at::kChipId, 64);
}

// The product line that the CPUID stands for; "" when it is none that we know.
std::string ProductLine(const evidence::SnpReport& r) {
  if (r.cpuid_family == 0x19 && r.cpuid_model <= 0x0f) return "Milan";
  if (r.cpuid_family == 0x19 &&
      ((r.cpuid_model >= 0x10 && r.cpuid_model <= 0x1f) || (r.cpuid_model >= 0xa0 && r.cpuid_model <= 0xaf)))
    return "Genoa";
  if (r.cpuid_family == 0x1a && r.cpuid_model <= 0x1f) return "Turin";
  return "";
}

Finding Product(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (!c.extensions) return Finding::Skip(kNoChain);
  if (c.report->version < 3) return Finding::Skip("reports of version 2 do not name the CPU");
  const std::string line = ProductLine(*c.report),
                    certified = c.extensions->product.substr(0, c.extensions->product.find('-'));
  // Bergamo and Siena are sold under their own names on the Genoa line.
  const bool same_line = certified == line || (line == "Genoa" && (certified == "Bergamo" || certified == "Siena"));
  if (!line.empty() && same_line) return Finding::Pass();
  return Finding::Fail(Err("snp.product-mismatch", "",
                           "the report's CPUID does not stand for the product that the key was certified for"))
      .Claim("product", c.extensions->product, line.empty() ? "unknown CPUID" : line)
      .At(kDocument, at::kCpuid, 3);
}

Finding Vmpl(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.report->vmpl == c.options.vmpl) return Finding::Pass();
  return Finding::Fail(Err("snp.vmpl-mismatch", "",
                           "the report was asked for at another privilege level (0xffffffff is the host itself)"))
      .Claim("vmpl", std::to_string(c.options.vmpl), std::to_string(c.report->vmpl))
      .At(kDocument, at::kVmpl, 4);
}

Finding Policy(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  const uint64_t p = c.report->policy;
  const auto fail = [&](Reason code, std::string text) {
    return Finding::Fail(Err(code, "", std::move(text))).Claim("policy", "", Hex64(p)).At(kDocument, at::kPolicy, 8);
  };
  if (p & policy::kDebug && !c.options.allow_debug)
    return fail("snp.debug-enabled", "the guest's policy allows debugging: the host can read the guest's memory");
  if (!(p & policy::kMustBeOne) || (p & policy::kReserved))
    return fail("snp.policy-malformed", "the guest policy has reserved bits set or its bit 17 clear");
  if (p & policy::kMigrationAgent && !c.options.allow_migration_agent)
    return fail("snp.policy-migration", "the guest policy allows a migration agent");
  if (p & policy::kSmtAllowed && !c.options.allow_smt)
    return fail("snp.policy-smt", "the guest policy allows sharing cores (SMT)");
  const auto abi_major = static_cast<uint8_t>(p >> 8), abi_minor = static_cast<uint8_t>(p);
  if (std::pair(abi_major, abi_minor) < std::pair(c.options.minimum_abi_major, c.options.minimum_abi_minor))
    return fail("snp.policy-abi", "the guest policy accepts an older firmware interface than allowed");
  if (c.options.require_alias_check && !(c.report->platform_info & kAliasCheckComplete)) {
    return Finding::Fail(Err("snp.alias-check", "", "the platform did not check memory for aliases at boot (BadRAM)"))
        .At(kDocument, at::kPlatformInfo, 8);
  }
  return Finding::Pass();
}

constexpr NamedCheck<SnpContext> kChecks[] = {
    {"report-data.given", ReportDataGiven},
    {"report.parsed", ReportParsed},
    {"signing-key", SigningKey},
    {"chain.root", ChainRoot},
    {"chain.environment", ChainEnvironment},
    {"chain.links", ChainLinks},
    {"chain.revocation", ChainRevocation},
    {"chain.profile", ChainProfileFits},
    {"report.signature", Signature},
    {"report.data", ReportData},
    {"host-data", HostData, true},
    {"measurement", Measurement, true},
    {"policy", Policy},
    {"vmpl", Vmpl},
    {"tcb", Tcb},
    {"chip-id", ChipId, true},
    {"chip-id.pinned", PinnedChip, true},
    {"product", Product, true},
};

}  // namespace

bool RunSnpChecks(SnpContext& context, std::vector<Check>& checks) {
  return RunChecks(std::span<const NamedCheck<SnpContext>>(kChecks), context, "snp.", checks);
}

}  // namespace ccgpu::verify
