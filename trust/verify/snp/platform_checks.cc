// The machine behind an SNP report: its firmware levels, part by part, its settings, its chip and its product.
#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/snp/context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::snp_offset;
namespace policy = evidence::snp_policy;
namespace platform = evidence::snp_platform;
using evidence::SnpVersion;
using evidence::TcbParts;

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

// Each level of the report against the certified one and against each other. LAUNCH_TCB stands outside: provisional
// firmware may have been taken back since the launch.
Finding Tcb(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (!c.extensions) return Finding::Skip(kNoSnpChain);
  const auto split = [&](uint64_t tcb) { return evidence::SplitTcb(tcb, c.report->IsTurin()); };
  const TcbParts reported = split(c.report->reported_tcb), committed = split(c.report->committed_tcb),
                 current = split(c.report->current_tcb), launch = split(c.report->launch_tcb);
  const auto fail = [&](Reason code, std::string text, const char* claim, size_t offset, const TcbParts& expected,
                        const TcbParts& found) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim(claim, expected.ToString(), found.ToString())
        .At(kSnpReport, offset, 8);
  };
  if (!(reported == c.extensions->tcb))
    return fail("snp.tcb-mismatch", "the key was certified for another firmware level than the report says",
                "reported_tcb", at::kReportedTcb, c.extensions->tcb, reported);
  if (!committed.AtLeast(reported))
    return fail("snp.tcb-mismatch", "the reported firmware level is above the committed one", "reported_tcb",
                at::kReportedTcb, committed, reported);
  if (!current.AtLeast(committed))
    return fail("snp.tcb-mismatch", "the committed firmware level is above the current one", "committed_tcb",
                at::kCommittedTcb, current, committed);
  if (c.options.minimum_tcb && !reported.AtLeast(*c.options.minimum_tcb))
    return fail("snp.tcb-too-old", "the firmware level is below the oldest accepted one", "reported_tcb",
                at::kReportedTcb, *c.options.minimum_tcb, reported);
  if (c.options.minimum_launch_tcb && !launch.AtLeast(*c.options.minimum_launch_tcb))
    return fail("snp.tcb-too-old", "the guest was launched under firmware below the oldest accepted one", "launch_tcb",
                at::kLaunchTcb, *c.options.minimum_launch_tcb, launch);
  if (c.options.require_committed_is_current && !(committed == current))
    return fail("snp.tcb-provisional", "the firmware is provisional: it can be rolled back", "committed_tcb",
                at::kCommittedTcb, current, committed);
  return Finding::Pass();
}

bool Older(const SnpVersion& a, const SnpVersion& b) {
  return std::tuple(a.major, a.minor, a.build) < std::tuple(b.major, b.minor, b.build);
}
std::string Text(const SnpVersion& v) {
  return std::to_string(v.major) + "." + std::to_string(v.minor) + " build " + std::to_string(v.build);
}

Finding Firmware(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const SnpVersion &current = c.report->current_version, &committed = c.report->committed_version;
  const auto fail = [&](Reason code, std::string text, const SnpVersion& expected) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim("committed_version", Text(expected), Text(committed))
        .At(kSnpReport, at::kCommittedVersion, 3);
  };
  if (Older(current, committed))
    return fail("snp.firmware-version", "the committed firmware version is above the current one", current);
  if (c.options.minimum_firmware && Older(committed, *c.options.minimum_firmware))
    return fail("snp.firmware-version", "the committed firmware version is below the oldest accepted one",
                *c.options.minimum_firmware);
  if (c.options.require_committed_is_current && !(committed == current))
    return fail("snp.tcb-provisional", "the firmware is provisional: it can be rolled back", current);
  return Finding::Pass();
}

Finding PlatformInfo(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const uint64_t info = c.report->platform_info, p = c.report->policy;
  const auto fail = [&](Reason code, std::string text, std::string expected) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim("platform_info", std::move(expected), SnpHex64(info))
        .At(kSnpReport, at::kPlatformInfo, 8);
  };
  if (info & platform::kReserved)
    return fail("snp.platform-unknown", "the platform info has bits set that we do not know",
                "bits 6 and 8 to 63 clear");
  if (c.options.require_alias_check && !(info & platform::kAliasCheckComplete))
    return fail("snp.alias-check", "the platform did not check memory for aliases at boot (BadRAM)", "bit 5 set");
  if ((info & c.options.required_platform) != c.options.required_platform)
    return fail("snp.platform-bits", "the platform lacks settings that are asked for",
                SnpHex64(c.options.required_platform));
  // The firmware starts no guest against its policy; a report that says so was not made by it.
  const bool contradicts = (!(p & policy::kSmtAllowed) && info & platform::kSmt) ||
                           (p & policy::kRaplDisabled && !(info & platform::kRaplDisabled)) ||
                           (p & policy::kCiphertextHiding && !(info & platform::kCiphertextHiding));
  if (contradicts)
    return fail("snp.platform-bits", "the platform's settings are against the guest's policy", SnpHex64(p));
  return Finding::Pass();
}

Finding Mitigations(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  const uint64_t wanted = c.options.required_mitigations;
  if (wanted == 0) return Finding::Skip("no mitigation was asked for");
  for (const auto& [name, value, offset] :
       {std::tuple("launch_mit_vector", c.report->launch_mit_vector, at::kLaunchMit),
        std::tuple("current_mit_vector", c.report->current_mit_vector, at::kCurrentMit)}) {
    if ((value & wanted) == wanted) continue;
    return Finding::Fail(Err("snp.mitigations", "",
                             c.report->version < 5 ? "reports before version 5 name no mitigations"
                                                   : "the platform lacks mitigations that are asked for"))
        .Claim(name, SnpHex64(wanted), SnpHex64(value))
        .At(kSnpReport, offset, 8);
  }
  return Finding::Pass();
}

Finding ChipId(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (!c.extensions) return Finding::Skip(kNoSnpChain);
  const Bytes& found = c.report->chip_id;
  if (!c.extensions->hardware_id) return Finding::Skip("a VLEK is not one chip's key");
  Bytes expected = *c.extensions->hardware_id;
  expected.resize(found.size());
  const auto fail = [&](std::string text) {
    return Finding::Fail(Err("snp.chip-id-mismatch", "", std::move(text)))
        .Claim("chip_id", HexEncode(expected), HexEncode(found))
        .At(kSnpReport, at::kChipId, 64);
  };
  if (AllZero(found)) {
    if (!c.options.allow_masked_chip_id) return fail("the host masks the chip id, which is not allowed here");
    return Finding::Skip("the host masks the chip id");
  }
  if (EqualConstantTime(expected, found)) return Finding::Pass();
  return fail("the report is from another chip than the key was certified for");
}

Finding PinnedChip(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (!c.options.chip_id) return Finding::Skip("no machine was asked for");
  if (EqualConstantTime(*c.options.chip_id, c.report->chip_id) && !AllZero(c.report->chip_id)) return Finding::Pass();
  return Finding::Fail(Err("snp.chip-id-mismatch", "", "the report is from another machine than the pinned one"))
      .Claim("chip_id", HexEncode(*c.options.chip_id), HexEncode(c.report->chip_id))
      .At(kSnpReport, at::kChipId, 64);
}

// The product line that the CPUID stands for; "" when it is none that we know.
std::string LineOfCpuid(const evidence::SnpReport& r) {
  if (r.cpuid_family == 0x19 && r.cpuid_model <= 0x0f) return "Milan";
  if (r.cpuid_family == 0x19 &&
      ((r.cpuid_model >= 0x10 && r.cpuid_model <= 0x1f) || (r.cpuid_model >= 0xa0 && r.cpuid_model <= 0xaf)))
    return "Genoa";
  if (r.cpuid_family == 0x1a && r.cpuid_model <= 0x1f) return "Turin";
  return "";
}

// "Milan-B0" is of the line Milan; Bergamo and Siena are sold under their own names on the Genoa line.
std::string LineOfProduct(const std::string& product) {
  const std::string line = product.substr(0, product.find('-'));
  return line == "Bergamo" || line == "Siena" ? "Genoa" : line;
}

Finding Product(SnpContext& c) {
  if (!c.report) return Finding::Skip(kNoSnpReport);
  if (!c.extensions) return Finding::Skip(kNoSnpChain);
  if (c.report->version < 3) return Finding::Skip("reports of version 2 do not name the CPU");
  const std::string line = LineOfCpuid(*c.report);
  if (!line.empty() && LineOfProduct(c.extensions->product) == line) return Finding::Pass();
  return Finding::Fail(Err("snp.product-mismatch", "",
                           "the report's CPUID does not stand for the product that the key was certified for"))
      .Claim("product", c.extensions->product, line.empty() ? "unknown CPUID" : line)
      .At(kSnpReport, at::kCpuid, 3);
}

Finding AllowedProduct(SnpContext& c) {
  if (!c.extensions) return Finding::Skip(kNoSnpChain);
  const auto& allowed = c.options.products;
  if (allowed.empty()) return Finding::Skip("no product was asked for");
  const std::string line = LineOfProduct(c.extensions->product);
  if (std::find(allowed.begin(), allowed.end(), line) != allowed.end()) return Finding::Pass();
  return Finding::Fail(Err("snp.product-refused", "", "processors of the line " + line + " are not accepted here"))
      .Claim("product", allowed.front() + (allowed.size() > 1 ? " or another accepted one" : ""), line)
      .At("snp/certificates", 0, 0);
}

constexpr NamedCheck<SnpContext> kChecks[] = {
    {"tcb", Tcb},
    {"firmware", Firmware},
    {"platform", PlatformInfo},
    {"mitigations", Mitigations, true},
    {"chip-id", ChipId, true},
    {"chip-id.pinned", PinnedChip, true},
    {"product", Product, true},
    {"product.allowed", AllowedProduct, true},
};

}  // namespace

std::span<const NamedCheck<SnpContext>> SnpPlatformChecks() { return kChecks; }

}  // namespace ccgpu::verify
