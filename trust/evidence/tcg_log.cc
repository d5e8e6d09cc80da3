#include "trust/evidence/tcg_log.h"

#include <algorithm>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

constexpr std::string_view kSpecId("Spec ID Event03\0", 16), kStartupLocality("StartupLocality\0", 16);
constexpr size_t kSha1Size = 20, kMaxBanks = 8, kMaxDigestSize = 128;

Error Bad(size_t offset, const std::string& text) {
  return Err("tcg-log.malformed", "event log", "at byte " + std::to_string(offset) + ": " + text);
}

bool AllAre(ByteView bytes, uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [value](uint8_t b) { return b == value; });
}

// index, type, one SHA-1 digest, data: the form of every event of a legacy log and of the first of every log.
Result<TcgEvent> ReadLegacyEvent(Reader& in) {
  TcgEvent event;
  event.offset = in.offset();
  event.index = in.U32();
  event.type = in.U32();
  event.digests.push_back({tpm_alg::kSha1, ToBytes(in.Take(kSha1Size))});
  const uint32_t size = in.U32();
  event.data_offset = in.offset();
  if (size > kMaxTcgEventData) return Bad(event.offset, "an event with " + std::to_string(size) + " bytes of data");
  event.data = ToBytes(in.Take(size));
  if (!in.ok()) return Bad(event.offset, "the log ends inside an event");
  return event;
}

Status ReadSpecId(ByteView data, size_t at, TcgLog& log) {
  Reader in(data);
  in.Skip(kSpecId.size());
  log.platform_class = in.U32();
  log.spec_minor = in.U8();
  log.spec_major = in.U8();
  log.spec_errata = in.U8();
  log.uintn_size = in.U8();
  const uint32_t count = in.U32();
  if (!in.ok() || count == 0 || count > kMaxBanks)
    return Bad(at, "the Spec ID event declares " + std::to_string(count) + " banks, expected 1 to 8");
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t algorithm = in.U16(), size = in.U16();
    if (!in.ok()) return Bad(at, "the Spec ID event is cut off");
    const auto known = TpmHashSize(algorithm);
    if (size == 0 || size > kMaxDigestSize || (known && *known != size)) {
      return Bad(at,
                 "the Spec ID event declares " + std::to_string(size) + "-byte digests for " + TpmHashName(algorithm));
    }
    if (log.HasBank(algorithm)) return Bad(at, "the Spec ID event declares " + TpmHashName(algorithm) + " twice");
    log.algorithms.emplace_back(algorithm, size);
  }
  const uint8_t vendor = in.U8();
  log.vendor_info = ToBytes(in.Take(vendor));
  if (!in.AtEnd()) return Bad(at, "the Spec ID event does not end where it says");
  return Ok();
}

Result<TcgEvent> ReadEvent(Reader& in, const TcgLog& log) {
  TcgEvent event;
  event.offset = in.offset();
  event.index = in.U32();
  event.type = in.U32();
  const uint32_t count = in.U32();
  if (!in.ok()) return Bad(event.offset, "the log ends inside an event");
  if (count > log.algorithms.size()) {
    return Bad(event.offset, "an event with " + std::to_string(count) + " digests, the log declares " +
                                 std::to_string(log.algorithms.size()) + " banks");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t algorithm = in.U16();
    const auto bank = std::find_if(log.algorithms.begin(), log.algorithms.end(),
                                   [&](const auto& entry) { return entry.first == algorithm; });
    if (bank == log.algorithms.end())
      return Bad(event.offset, "a digest of " + TpmHashName(algorithm) + ", which the log does not declare");
    if (event.Digest(algorithm)) return Bad(event.offset, "two digests of " + TpmHashName(algorithm));
    event.digests.push_back({algorithm, ToBytes(in.Take(bank->second))});
  }
  const uint32_t size = in.U32();
  event.data_offset = in.offset();
  if (size > kMaxTcgEventData) return Bad(event.offset, "an event with " + std::to_string(size) + " bytes of data");
  event.data = ToBytes(in.Take(size));
  if (!in.ok()) return Bad(event.offset, "the log ends inside an event");
  return event;
}

// The types whose digest is, by the profile, the hash of the event data. Boot variables (some firmware hashes the
// variable's data only), images (hash of the file) and IPL events (hash of what was loaded) are not among them.
bool HashesItsData(uint32_t type) {
  switch (type) {
    case tcg_event::kSeparator:
    case tcg_event::kAction:
    case tcg_event::kEventTag:
    case tcg_event::kCrtmVersion:
    case tcg_event::kNonhostInfo:
    case tcg_event::kEfiVariableDriverConfig:
    case tcg_event::kEfiVariableBoot2:
    case tcg_event::kEfiVariableAuthority:
    case tcg_event::kEfiGptEvent:
    case tcg_event::kEfiAction: return true;
    default: return false;
  }
}

}  // namespace

const Bytes* TcgEvent::Digest(uint16_t algorithm) const {
  for (const TcgDigest& d : digests) {
    if (d.algorithm == algorithm) return &d.digest;
  }
  return nullptr;
}

bool TcgLog::HasBank(uint16_t algorithm) const {
  return std::any_of(algorithms.begin(), algorithms.end(), [&](const auto& a) { return a.first == algorithm; });
}

Result<TcgLog> ParseTcgLog(ByteView bytes) {
  if (bytes.size() > kMaxTcgLogSize)
    return Bad(0, "the log has " + std::to_string(bytes.size()) + " bytes, at most 8 MiB are read");
  TcgLog log;
  Reader in(bytes);
  ASSIGN_OR_RETURN(TcgEvent first, ReadLegacyEvent(in));
  if (first.type == tcg_event::kNoAction && AsText(first.data).starts_with(kSpecId)) {
    if (!AllAre(first.digests[0].digest, 0)) return Bad(0, "the Spec ID event must have a digest of zeros");
    log.crypto_agile = true;
    log.spec_index = first.index;
    RETURN_IF_ERROR(ReadSpecId(first.data, first.data_offset, log));
  } else {
    log.algorithms.emplace_back(tpm_alg::kSha1, kSha1Size);
    log.events.push_back(std::move(first));
  }
  log.size = in.offset();
  while (in.remaining() > 0) {
    // Logs lie in fixed areas of memory; what no event was written to is one repeated byte.
    const ByteView rest = bytes.subspan(in.offset());
    if ((rest[0] == 0 && AllAre(rest, 0)) || (rest[0] == 0xff && AllAre(rest, 0xff))) break;
    if (log.events.size() == kMaxTcgEvents) return Bad(in.offset(), "more than 65536 events");
    ASSIGN_OR_RETURN(TcgEvent event, log.crypto_agile ? ReadEvent(in, log) : ReadLegacyEvent(in));
    if (event.Extends() && event.index > 31)
      return Bad(event.offset, "an event of register " + std::to_string(event.index) + ", the highest is 31");
    log.events.push_back(std::move(event));
    log.size = in.offset();
  }
  return log;
}

Bytes EncodeTcgLog(const TcgLog& log) {
  Writer out;
  if (log.crypto_agile) {
    Writer spec;
    spec.Text(kSpecId).U32(log.platform_class).U8(log.spec_minor).U8(log.spec_major).U8(log.spec_errata);
    spec.U8(log.uintn_size).U32(log.algorithms.size());
    for (const auto& [algorithm, size] : log.algorithms) spec.U16(algorithm).U16(size);
    spec.U8(log.vendor_info.size()).Raw(log.vendor_info);
    out.U32(log.spec_index).U32(tcg_event::kNoAction).Zeros(kSha1Size).U32(spec.size()).Raw(spec.bytes());
  }
  for (const TcgEvent& event : log.events) {
    out.U32(event.index).U32(event.type);
    if (log.crypto_agile) out.U32(event.digests.size());
    for (const TcgDigest& digest : event.digests) {
      if (log.crypto_agile) out.U16(digest.algorithm);
      out.Raw(digest.digest);
    }
    out.U32(event.data.size()).Raw(event.data);
  }
  return out.Finish();
}

Result<std::map<uint32_t, Bytes>> ReplayTcgLog(const TcgLog& log, uint16_t algorithm) {
  const auto size = TpmHashSize(algorithm);
  if (!size || !log.HasBank(algorithm))
    return Err("tcg-log.bank-missing", "event log", "has no digests of " + TpmHashName(algorithm));
  std::map<uint32_t, Bytes> registers;
  bool locality_seen = false;
  for (const TcgEvent& event : log.events) {
    if (!event.Extends()) {
      if (event.index != 0 || !AsText(event.data).starts_with(kStartupLocality)) continue;
      const bool well_formed = event.data.size() == kStartupLocality.size() + 1;
      const uint8_t locality = well_formed ? event.data.back() : 0xff;
      if (locality_seen || registers.contains(0) || (locality != 0 && locality != 3 && locality != 4)) {
        return Err("tcg-log.startup-locality", "event log",
                   "at byte " + std::to_string(event.offset) +
                       ": a startup locality that is not 0, 3 or 4, comes twice, or comes after PCR 0 was extended");
      }
      locality_seen = true;
      registers[0] = Bytes(*size);
      registers[0].back() = locality;
      continue;
    }
    const Bytes* digest = event.Digest(algorithm);
    if (!digest) {
      return Err("tcg-log.bank-missing", "event log",
                 "the event at byte " + std::to_string(event.offset) + " has no digest of " + TpmHashName(algorithm));
    }
    Bytes& value = registers.try_emplace(event.index, Bytes(*size)).first->second;
    value = TpmExtend(algorithm, value, *digest);
  }
  return registers;
}

bool DataIsMeasured(const TcgEvent& event, uint16_t algorithm) {
  const Bytes* digest = event.Digest(algorithm);
  return digest && TpmHashSize(algorithm) && HashesItsData(event.type) &&
         Equal(TpmDigest(algorithm, event.data), *digest);
}

std::optional<std::string> MeasuredText(const TcgEvent& event, uint16_t algorithm) {
  const Bytes* digest = event.Digest(algorithm);
  if (event.type != tcg_event::kIpl || !digest || !TpmHashSize(algorithm)) return std::nullopt;
  std::string_view text = AsText(event.data);
  if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  for (const std::string_view prefix : {"grub_cmd: ", "kernel_cmdline: ", "grub_cmd ", "grub_kernel_cmdline "}) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view measured = text.substr(prefix.size());
    if (Equal(TpmDigest(algorithm, AsBytes(measured)), *digest)) return std::string(measured);
  }
  return std::nullopt;
}

std::string TcgEventName(uint32_t type) {
  switch (type) {
    case tcg_event::kPostCode: return "EV_POST_CODE";
    case tcg_event::kNoAction: return "EV_NO_ACTION";
    case tcg_event::kSeparator: return "EV_SEPARATOR";
    case tcg_event::kAction: return "EV_ACTION";
    case tcg_event::kEventTag: return "EV_EVENT_TAG";
    case tcg_event::kCrtmContents: return "EV_S_CRTM_CONTENTS";
    case tcg_event::kCrtmVersion: return "EV_S_CRTM_VERSION";
    case tcg_event::kPlatformConfigFlags: return "EV_PLATFORM_CONFIG_FLAGS";
    case tcg_event::kCompactHash: return "EV_COMPACT_HASH";
    case tcg_event::kIpl: return "EV_IPL";
    case tcg_event::kNonhostInfo: return "EV_NONHOST_INFO";
    case tcg_event::kEfiVariableDriverConfig: return "EV_EFI_VARIABLE_DRIVER_CONFIG";
    case tcg_event::kEfiVariableBoot: return "EV_EFI_VARIABLE_BOOT";
    case tcg_event::kEfiVariableBoot2: return "EV_EFI_VARIABLE_BOOT2";
    case tcg_event::kEfiBootServicesApplication: return "EV_EFI_BOOT_SERVICES_APPLICATION";
    case tcg_event::kEfiGptEvent: return "EV_EFI_GPT_EVENT";
    case tcg_event::kEfiAction: return "EV_EFI_ACTION";
    case tcg_event::kEfiHcrtm: return "EV_EFI_HCRTM_EVENT";
    case tcg_event::kEfiVariableAuthority: return "EV_EFI_VARIABLE_AUTHORITY";
    default: return "0x" + HexEncode(Writer().BigU32(type).bytes());
  }
}

}  // namespace ccgpu::evidence
