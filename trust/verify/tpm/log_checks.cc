// What was measured into the quoted registers, by the event log: it has to replay to their values, and only what a
// digest covers is believed.
#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {
namespace {

const std::string kDocument = "tpm/event-log", kNoLog = "the evidence brings no event log",
                  kNotKnown = "the register values are not known";

Finding LogParsed(TpmContext& c) {
  if (c.evidence.event_log.empty()) {
    if (!c.options.require_event_log) return Finding::Skip(kNoLog);
    return Finding::Fail(Err("tpm.log-missing", "", "the evidence brings no event log, which is required"));
  }
  auto log = evidence::ParseTcgLog(c.evidence.event_log);
  if (!log.ok()) return Finding::Fail(std::move(log).error()).At(kDocument, 0, c.evidence.event_log.size());
  c.log = std::move(*log);
  return Finding::Pass();
}

// What a register holds before anything is measured: zeros, or ones where only a dynamic launch resets it.
bool IsUntouched(ByteView value) {
  const auto all = [&](uint8_t byte) {
    return std::all_of(value.begin(), value.end(), [byte](uint8_t b) { return b == byte; });
  };
  return all(0) || all(0xff);
}

Finding Replay(TpmContext& c) {
  if (!c.log) return Finding::Skip(kNoLog);
  if (!c.registers_hold) return Finding::Skip(kNotKnown);
  auto replayed = evidence::ReplayTcgLog(*c.log, c.options.bank);
  if (!replayed.ok()) return Finding::Fail(std::move(replayed).error()).At(kDocument, 0, c.log->size);
  for (const auto& [index, quoted] : c.evidence.pcrs) {
    const auto found = replayed->find(index);
    const std::string claim = "PCR " + std::to_string(index);
    if (found != replayed->end()) {
      if (EqualConstantTime(found->second, quoted)) continue;
      size_t first = 0, count = 0;
      for (const evidence::TcgEvent& event : c.log->events) {
        if (event.index != index || !event.Extends()) continue;
        if (count++ == 0) first = event.offset;
      }
      return Finding::Fail(Err("tpm.log-mismatch", "",
                               "the log's " + std::to_string(count) + " events of " + claim +
                                   " do not give the quoted value: events are missing, added or changed"))
          .Claim(claim, HexEncode(quoted), HexEncode(found->second))
          .At(kDocument, first, 0);
    }
    if (IsUntouched(quoted) || c.options.unlogged_pcrs.contains(index) || c.options.expected_pcrs.contains(index))
      continue;
    return Finding::Fail(Err("tpm.log-mismatch", "", claim + " holds measurements, the log has no event of it"))
        .Claim(claim, "accounted for by the log or an expected value", HexEncode(quoted))
        .At(kDocument, 0, c.log->size);
  }
  c.replayed = std::move(*replayed);
  return Finding::Pass();
}

Finding SecureBoot(TpmContext& c) {
  const bool quoted = c.evidence.pcrs.contains(7) && c.replayed.contains(7);
  if (quoted) {
    auto facts = evidence::ReadSecureBoot(*c.log, c.options.bank);
    if (facts.ok()) {
      c.secure_boot = std::move(*facts);
    } else if (c.options.require_secure_boot) {
      return Finding::Fail(std::move(facts).error()).At(kDocument, 0, c.log->size);
    }
  }
  if (!c.options.require_secure_boot) return Finding::Skip("secure boot was not asked for");
  if (!c.secure_boot) {
    return Finding::Fail(Err("tpm.secure-boot-unknown", "", "no replayed log says whether secure boot was on"))
        .Claim("secureboot", "true", "unknown");
  }
  if (c.secure_boot->enabled) return Finding::Pass();
  return Finding::Fail(Err("tpm.secure-boot-off", "", "the machine booted without secure boot"))
      .Claim("secureboot", "true", "false")
      .At(kDocument, 0, c.log->size);
}

constexpr NamedCheck<TpmContext> kChecks[] = {
    {"log.form", LogParsed, true}, {"log.replay", Replay, true}, {"log.secure-boot", SecureBoot, true}};

}  // namespace

std::span<const NamedCheck<TpmContext>> TpmLogChecks() { return kChecks; }

}  // namespace ccgpu::verify
