// The checks of what a TDX quote says about the guest: what it is bound to, how it may run, what was measured.
#include "base/encoding.h"
#include "trust/evidence/tcg_log.h"
#include "trust/verify/references/checks.h"
#include "trust/verify/tdx/context.h"

namespace ccgpu::verify {
namespace {

namespace at = evidence::td_offset;
namespace bit = evidence::td_attribute;

// XFAM (Intel TDX Module 1.5 base specification, 11.8.3): x87 and SSE are always there; bits beyond these do not exist.
constexpr uint64_t kXfamAlways = 0x3, kXfamKnown = 0x6dbe7;
constexpr uint64_t kKnownAttributes = bit::kDebug | bit::kSeptVeDisable | bit::kPks | bit::kPerfmon;
constexpr size_t kRtmrSize = 48;

std::string Hex64(uint64_t value) {
  Writer out;
  out.BigU64(value);
  return "0x" + HexEncode(out.bytes());
}

Finding ReportData(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const Bytes& found = c.quote->body.report_data;
  if (c.options.report_data.size() == 64 && EqualConstantTime(found, c.options.report_data)) return Finding::Pass();
  return Finding::Fail(Err("tdx.report-data-mismatch", "",
                           "the quote is not bound to this challenge, key and device evidence: it is old, or was made "
                           "for someone else"))
      .Claim("report_data", HexEncode(c.options.report_data), HexEncode(found))
      .At(kTdxQuoteDocument, c.At(at::kReportData), 64);
}

Finding Attributes(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const uint64_t found = c.quote->body.td_attributes;
  const auto fail = [&](Error error, const char* expected) {
    return Finding::Fail(std::move(error))
        .Claim("td_attributes", expected, Hex64(found))
        .At(kTdxQuoteDocument, c.At(at::kTdAttributes), 8);
  };
  if ((found & bit::kDebug) && !c.options.allow_debug)
    return fail(Err("tdx.debug", "", "the guest runs in debug mode: the host can read and change its memory"),
                "debug off");
  if (found & ~kKnownAttributes)
    return fail(Err("tdx.attributes", "", "the guest has attributes that this version does not know"),
                "known attributes only");
  if ((found & bit::kPerfmon) && !c.options.allow_perfmon)
    return fail(Err("tdx.attributes", "", "the guest uses performance counters, which leak to the host"),
                "perfmon off");
  if (!(found & bit::kSeptVeDisable) && c.options.require_sept_ve_disable)
    return fail(Err("tdx.sept-ve", "",
                    "SEPT_VE_DISABLE is off: the host can make the guest handle exceptions on its own memory"),
                "septve_disable on");
  return Finding::Pass();
}

Finding Xfam(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const uint64_t found = c.quote->body.xfam;
  if ((found & kXfamAlways) == kXfamAlways && !(found & ~kXfamKnown)) return Finding::Pass();
  return Finding::Fail(Err("tdx.xfam", "", "the guest's extended features are none that a TDX module allows"))
      .Claim("xfam", "bits 0 and 1, and others only of " + Hex64(kXfamKnown), Hex64(found))
      .At(kTdxQuoteDocument, c.At(at::kXfam), 8);
}

// One register that must have an expected value, when one was given.
Finding Expected(TdxContext& c, const std::optional<Bytes>& expected, const Bytes& found, size_t offset, Error error,
                 const char* claim) {
  if (!expected) return Finding::Skip("no expected value was given");
  if (EqualConstantTime(*expected, found)) return Finding::Pass();
  return Finding::Fail(std::move(error))
      .Claim(claim, HexEncode(*expected), HexEncode(found))
      .At(kTdxQuoteDocument, c.At(offset), found.size());
}

Finding InitData(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  return Expected(c, c.options.mr_config_id, c.quote->body.mr_config_id, at::kMrConfigId,
                  Err("tdx.mr-config-id-mismatch", "",
                      "the sandbox was started with another initdata document (and so another policy) than this one"),
                  "mr_config_id");
}
Finding MrTd(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  return Expected(c, c.options.mr_td, c.quote->body.mr_td, at::kMrTd,
                  Err("tdx.mrtd-mismatch", "", "the sandbox was started from another guest image"), "mr_td");
}
Finding MrSeam(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  return Expected(c, c.options.mr_seam, c.quote->body.mr_seam, at::kMrSeam,
                  Err("tdx.mrseam-mismatch", "", "another TDX module runs than the expected one"), "mr_seam");
}
Finding Owner(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  const auto error = [] {
    return Err("tdx.owner-mismatch", "", "the guest's owner, or the owner's configuration, is another one");
  };
  Finding owner = Expected(c, c.options.mr_owner, c.quote->body.mr_owner, at::kMrOwner, error(), "mr_owner");
  if (owner.outcome == Check::Outcome::kFailed) return owner;
  Finding config = Expected(c, c.options.mr_owner_config, c.quote->body.mr_owner_config, at::kMrOwnerConfig, error(),
                            "mr_owner_config");
  return config.outcome == Check::Outcome::kNotApplicable ? owner : config;
}

Finding Rtmrs(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  bool asked = false;
  for (size_t i = 0; i < 4; ++i) {
    asked = asked || c.options.rtmrs[i];
    Finding one = Expected(c, c.options.rtmrs[i], c.quote->body.rtmrs[i], at::kRtmr0 + i * kRtmrSize,
                           Err("tdx.rtmr-mismatch", "", "the guest measured something else than expected"),
                           ("rtmr_" + std::to_string(i)).c_str());
    if (one.outcome == Check::Outcome::kFailed) return one;
  }
  return asked ? Finding::Pass() : Finding::Skip("no expected value was given");
}

// A service TD (migration) can hand the guest's memory on.
Finding ServiceTd(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (!c.quote->body.mr_service_td) return Finding::Skip("a TDX 1.0 report has no such field");
  if (*c.quote->body.mr_service_td == Bytes(48) || c.options.allow_service_td) return Finding::Pass();
  return Finding::Fail(Err("tdx.service-td", "", "a service TD is bound to the guest, which can move it"))
      .Claim("mr_service_td", HexEncode(Bytes(48)), HexEncode(*c.quote->body.mr_service_td))
      .At(kTdxQuoteDocument, c.At(at::kMrServiceTd), 48);
}

// Registers that no event extends stay zero. In a CCEL, index 0 is MRTD, which is measured at build time.
Finding EventLog(TdxContext& c) {
  if (!c.quote) return Finding::Skip(kNoQuote);
  if (!c.evidence.event_log) return Finding::Skip("the evidence brings no event log");
  const auto fail = [&](Error error) {
    return Finding::Fail(std::move(error)).At(kTdxLogDocument, 0, c.evidence.event_log->size());
  };
  const auto log = evidence::ParseTcgLog(*c.evidence.event_log);
  if (!log.ok()) return fail(Err("tdx.event-log-malformed", "", log.error().text));
  const auto replayed = evidence::ReplayTcgLog(*log, evidence::tpm_alg::kSha384);
  if (!replayed.ok()) return fail(Err("tdx.event-log-malformed", "", replayed.error().text));
  for (const auto& [index, value] : *replayed) {
    if (index < 1 || index > 4)
      return fail(Err("tdx.event-log-malformed", "",
                      "an event extends register " + std::to_string(index) + "; RTMR 0 to 3 are 1 to 4"));
  }
  for (uint32_t i = 0; i < 4; ++i) {
    const auto it = replayed->find(i + 1);
    const Bytes expected = it == replayed->end() ? Bytes(kRtmrSize) : it->second;
    const Bytes& found = c.quote->body.rtmrs[i];
    if (EqualConstantTime(expected, found)) continue;
    return Finding::Fail(Err("tdx.event-log-mismatch", "",
                             "the event log does not lead to RTMR" + std::to_string(i) + " of the quote"))
        .Claim("rtmr_" + std::to_string(i), HexEncode(expected), HexEncode(found))
        .At(kTdxQuoteDocument, c.At(at::kRtmr0 + i * kRtmrSize), kRtmrSize);
  }
  c.log_replayed = true;
  return Finding::Pass();
}

Finding FitsReferences(TdxContext& c) {
  if (!c.quote) return Finding::Skip("there is no quote that could be parsed");
  const evidence::TdReport& body = c.quote->body;
  Measured measured{"Intel", "TDX", crypto::Hash::kSha384, {{"mr_td", body.mr_td}, {"mr_seam", body.mr_seam}}};
  for (size_t i = 0; i < 4; ++i) measured.values["rtmr_" + std::to_string(i)] = body.rtmrs[i];
  return CheckReferences(c.options.references.get(), measured, c.shared.environment, kTdxQuoteDocument);
}

constexpr NamedCheck<TdxContext> kChecks[] = {
    {"report.data", ReportData},
    {"attributes", Attributes},
    {"xfam", Xfam},
    {"init-data", InitData, true},
    {"mrtd", MrTd, true},
    {"mrseam", MrSeam, true},
    {"owner", Owner, true},
    {"rtmrs", Rtmrs, true},
    {"service-td", ServiceTd, true},
    {"event-log", EventLog, true},
    {"references", FitsReferences, true},
};

}  // namespace

std::span<const NamedCheck<TdxContext>> TdxGuestChecks() { return kChecks; }

}  // namespace ccgpu::verify
