// What an SNP report says: its form, what it is bound to, and the guest that it speaks of.
#include "trust/verify/references/checks.h"

#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/snp/context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::snp_offset;
namespace policy = evidence::snp_policy;
using evidence::SnpReport;

bool AllAre(ByteView bytes, uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](uint8_t b) { return b == value; });
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
        .At(kSnpReport, 0, c.evidence.report.size());
  c.report = std::move(*report);
  return Finding::Pass();
}

Finding ReportData(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.options.report_data.size() == 64 && EqualConstantTime(c.report->report_data, c.options.report_data))
    return Finding::Pass();
  return Finding::Fail(Err("snp.report-data-mismatch", "",
                           "the report is not bound to this challenge, key and device evidence: it is old, or was made "
                           "for someone else"))
      .Claim("report_data", HexEncode(c.options.report_data), HexEncode(c.report->report_data))
      .At(kSnpReport, at::kReportData, 64);
}

// One byte string that must have an expected value, when one was given.
Finding Expected(SnpContext& c, const std::optional<Bytes>& expected, const Bytes SnpReport::*member, size_t offset,
                 Reason code, const char* claim, const char* text) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (!expected) return Finding::Skip("no expected value was given");
  const Bytes& found = (*c.report).*member;
  if (EqualConstantTime(*expected, found)) return Finding::Pass();
  return Finding::Fail(Err(code, "", text))
      .Claim(claim, HexEncode(*expected), HexEncode(found))
      .At(kSnpReport, offset, found.size());
}

Finding HostData(SnpContext& c) {
  return Expected(c, c.options.host_data, &SnpReport::host_data, at::kHostData, "snp.host-data-mismatch", "host_data",
                  "the sandbox was started with another initdata document (and so another policy) than this one");
}
Finding Measurement(SnpContext& c) {
  return Expected(c, c.options.measurement, &SnpReport::measurement, at::kMeasurement, "snp.measurement-mismatch",
                  "measurement", "the sandbox was started from another guest image");
}
Finding FamilyId(SnpContext& c) {
  return Expected(c, c.options.family_id, &SnpReport::family_id, at::kFamilyId, "snp.guest-id-mismatch", "family_id",
                  "the guest's identity block names another family");
}
Finding ImageId(SnpContext& c) {
  return Expected(c, c.options.image_id, &SnpReport::image_id, at::kImageId, "snp.guest-id-mismatch", "image_id",
                  "the guest's identity block names another image");
}

Finding GuestSvn(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.report->guest_svn >= c.options.minimum_guest_svn) return Finding::Pass();
  return Finding::Fail(Err("snp.guest-svn", "", "the guest's security version is below the oldest accepted one"))
      .Claim("guest_svn", "at least " + std::to_string(c.options.minimum_guest_svn),
             std::to_string(c.report->guest_svn))
      .At(kSnpReport, at::kGuestSvn, 4);
}

// One digest of a key that signed the identity block: one of those that are trusted, when any was named.
Finding TrustedKey(const std::vector<Bytes>& trusted, const Bytes& found, size_t offset, const char* claim) {
  const bool good = std::any_of(trusted.begin(), trusted.end(),
                                [&](const Bytes& key) { return EqualConstantTime(key, found) && !AllAre(key, 0); });
  if (good) return Finding::Pass();
  return Finding::Fail(Err("snp.id-key-untrusted", "",
                           AllAre(found, 0) ? "the guest was launched without a signed identity block"
                                            : "the guest's identity block is signed by a key that is not trusted"))
      .Claim(claim, std::to_string(trusted.size()) + " trusted keys", HexEncode(found))
      .At(kSnpReport, offset, 48);
}

Finding AuthorKey(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const bool enabled = c.report->key_info & evidence::snp_key_info::kAuthorKey;
  if (enabled == AllAre(c.report->author_key_digest, 0)) {
    return Finding::Fail(Err("snp.author-key", "",
                             enabled ? "an author key is said to be there, its digest is empty"
                                     : "there is the digest of an author key that is said not to be there"))
        .Claim("author_key_digest", enabled ? "a digest" : "zero", HexEncode(c.report->author_key_digest))
        .At(kSnpReport, at::kAuthorKeyDigest, 48);
  }
  if (c.options.author_keys.empty()) return Finding::Pass();
  return TrustedKey(c.options.author_keys, c.report->author_key_digest, at::kAuthorKeyDigest, "author_key_digest");
}

Finding IdKey(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.options.id_keys.empty()) return Finding::Skip("no key of identity blocks was asked for");
  return TrustedKey(c.options.id_keys, c.report->id_key_digest, at::kIdKeyDigest, "id_key_digest");
}

Finding Policy(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const uint64_t p = c.report->policy;
  const auto fail = [&](Reason code, std::string text, std::string expected = "") {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim("policy", std::move(expected), SnpHex64(p))
        .At(kSnpReport, at::kPolicy, 8);
  };
  if (p & policy::kDebug && !c.options.allow_debug)
    return fail("snp.debug-enabled", "the guest's policy allows debugging: the host can read the guest's memory",
                "bit 19 clear");
  if (!(p & policy::kMustBeOne) || (p & policy::kReserved))
    return fail("snp.policy-malformed", "the guest policy has reserved bits set or its bit 17 clear",
                "bit 17 set, bits 26 to 63 clear");
  if (p & policy::kMigrationAgent && !c.options.allow_migration_agent)
    return fail("snp.policy-migration", "the guest policy allows a migration agent", "bit 18 clear");
  if (p & policy::kSmtAllowed && !c.options.allow_smt)
    return fail("snp.policy-smt", "the guest policy allows sharing cores (SMT)", "bit 16 clear");
  if ((p & c.options.required_policy) != c.options.required_policy)
    return fail("snp.policy-bits", "the guest policy lacks bits that are asked for",
                SnpHex64(c.options.required_policy));
  if (p & c.options.forbidden_policy)
    return fail("snp.policy-bits", "the guest policy has bits that are not accepted",
                "without " + SnpHex64(c.options.forbidden_policy));
  const auto abi_major = static_cast<uint8_t>(p >> 8), abi_minor = static_cast<uint8_t>(p);
  if (std::pair(abi_major, abi_minor) < std::pair(c.options.minimum_abi_major, c.options.minimum_abi_minor)) {
    return fail("snp.policy-abi", "the guest policy accepts an older firmware interface than allowed",
                std::to_string(c.options.minimum_abi_major) + "." + std::to_string(c.options.minimum_abi_minor));
  }
  return Finding::Pass();
}

// A guest that is bound to a migration agent can be moved to wherever that one wants.
Finding MigrationAgent(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.options.allow_migration_agent || AllAre(c.report->report_id_ma, 0xff)) return Finding::Pass();
  return Finding::Fail(Err("snp.migration-agent", "", "the guest is bound to a migration agent, which can move it"))
      .Claim("report_id_ma", HexEncode(Bytes(32, 0xff)), HexEncode(c.report->report_id_ma))
      .At(kSnpReport, at::kReportIdMa, 32);
}

Finding Vmpl(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (c.report->vmpl == c.options.vmpl) return Finding::Pass();
  return Finding::Fail(Err("snp.vmpl-mismatch", "",
                           "the report was asked for at another privilege level (0xffffffff is the host itself)"))
      .Claim("vmpl", std::to_string(c.options.vmpl), std::to_string(c.report->vmpl))
      .At(kSnpReport, at::kVmpl, 4);
}

Finding FitsReferences(SnpContext& c) {
  if (!c.report) return Finding::Skip("there is no report that could be parsed");
  const Measured measured{"AMD", "SEV-SNP", crypto::Hash::kSha384, {{"measurement", c.report->measurement}}};
  return CheckReferences(c.options.references.get(), measured, c.shared.environment, kSnpReport);
}

constexpr NamedCheck<SnpContext> kReportChecks[] = {
    {"report-data.given", ReportDataGiven},
    {"report.parsed", ReportParsed},
};
constexpr NamedCheck<SnpContext> kGuestChecks[] = {
    {"report.data", ReportData},
    {"host-data", HostData, true},
    {"measurement", Measurement, true},
    {"references", FitsReferences, true},
    {"policy", Policy},
    {"migration-agent", MigrationAgent},
    {"vmpl", Vmpl},
    {"guest-svn", GuestSvn},
    {"family-id", FamilyId, true},
    {"image-id", ImageId, true},
    {"author-key", AuthorKey},
    {"id-key", IdKey, true},
};

}  // namespace

std::string SnpHex64(uint64_t value) {
  Writer out;
  out.BigU64(value);
  return "0x" + HexEncode(out.bytes());
}

std::span<const NamedCheck<SnpContext>> SnpReportChecks() { return kReportChecks; }
std::span<const NamedCheck<SnpContext>> SnpGuestChecks() { return kGuestChecks; }

bool RunSnpChecks(SnpContext& context, std::vector<Check>& checks) {
  bool good = true;
  for (const auto list : {SnpReportChecks(), SnpChainChecks(), SnpGuestChecks(), SnpPlatformChecks()})
    good = RunChecks(list, context, "snp.", checks) && good;
  return good;
}

}  // namespace ccgpu::verify
