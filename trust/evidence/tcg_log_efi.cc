#include "trust/evidence/tcg_log_efi.h"

#include <set>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kGuidSize = 16, kMaxName = 256, kMaxSignatures = 16384;
constexpr uint32_t kSecureBootRegister = 7;

// GUIDs in their stored byte order.
constexpr std::string_view kGlobalVariable("\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c", 16),
    kImageSecurity("\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f", 16),
    kCertSha256("\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28", 16),
    kCertX509("\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72", 16),
    kCertX509Sha256("\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed", 16);

Error Malformed(const std::string& text) { return Err("tcg-log.efi-malformed", "EFI data", text); }
Error Insecure(const std::string& text) { return Err("tcg-log.secure-boot", "PCR 7", text); }

EfiSignature::Kind KindOf(ByteView guid) {
  if (AsText(guid) == kCertSha256) return EfiSignature::Kind::kSha256;
  if (AsText(guid) == kCertX509) return EfiSignature::Kind::kX509;
  if (AsText(guid) == kCertX509Sha256) return EfiSignature::Kind::kX509Sha256;
  return EfiSignature::Kind::kOther;
}

Status CheckList(EfiSignature::Kind kind, uint32_t header, uint32_t each, size_t total) {
  if (each < kGuidSize || header > total || (total - header) % each != 0)
    return Malformed("a signature list whose sizes do not add up");
  if (kind == EfiSignature::Kind::kOther) return Ok();
  if (header != 0)
    return Malformed("a signature list with a header of " + std::to_string(header) + " bytes, its kind has none");
  // A revoked certificate's hash is followed by the time of revocation (EFI_TIME, 16 bytes).
  const bool fits = kind == EfiSignature::Kind::kSha256       ? each == kGuidSize + 32
                    : kind == EfiSignature::Kind::kX509Sha256 ? each == kGuidSize + 32 + 16
                                                              : each > kGuidSize && total == each;
  return fits ? Ok() : Malformed("signatures of " + std::to_string(each) + " bytes, which is not their kind's size");
}

}  // namespace

Result<EfiVariable> ParseEfiVariable(ByteView data) {
  Reader in(data);
  EfiVariable out;
  out.vendor = ToBytes(in.Take(kGuidSize));
  const uint64_t name_size = in.U64(), data_size = in.U64();
  if (!in.ok() || name_size > kMaxName || data_size > kMaxTcgEventData)
    return Malformed("a variable whose name or data is too long, or that is cut off");
  for (uint64_t i = 0; i < name_size; ++i) {
    const uint16_t c = in.U16();
    if (!in.ok() || c == 0 || c > 0x7f) return Malformed("a variable whose name is not ASCII");
    out.name += static_cast<char>(c);
  }
  out.data = ToBytes(in.Take(data_size));
  if (!in.AtEnd()) return Malformed("a variable that does not end where it says");
  return out;
}

Bytes EncodeEfiVariable(const EfiVariable& variable) {
  Writer out;
  out.Raw(variable.vendor).U64(variable.name.size()).U64(variable.data.size());
  for (char c : variable.name) out.U16(static_cast<uint8_t>(c));
  return out.Raw(variable.data).Finish();
}

Result<std::vector<EfiSignature>> ParseEfiSignatureLists(ByteView data) {
  Reader in(data);
  std::vector<EfiSignature> out;
  while (in.remaining() > 0) {
    const EfiSignature::Kind kind = KindOf(in.Take(kGuidSize));
    const uint32_t list = in.U32(), header = in.U32(), each = in.U32();
    constexpr uint32_t kListHeader = kGuidSize + 12;
    if (!in.ok() || list < kListHeader || list - kListHeader > in.remaining())
      return Malformed("a signature list that is cut off");
    const size_t total = list - kListHeader;
    RETURN_IF_ERROR(CheckList(kind, header, each, total));
    in.Skip(header);
    for (size_t i = 0; i < (total - header) / each; ++i) {
      if (out.size() == kMaxSignatures) return Malformed("more than 16384 signatures");
      EfiSignature signature;
      signature.kind = kind;
      signature.owner = ToBytes(in.Take(kGuidSize));
      signature.data = ToBytes(in.Take(each - kGuidSize));
      out.push_back(std::move(signature));
    }
  }
  return out;
}

Result<SecureBootFacts> ReadSecureBoot(const TcgLog& log, uint16_t algorithm) {
  SecureBootFacts facts;
  std::set<std::string> seen;
  bool separated = false;
  for (const TcgEvent& event : log.events) {
    if (event.index != kSecureBootRegister || !event.Extends()) continue;
    if (event.type == tcg_event::kSeparator) {
      if (separated) return Insecure("has two separators");
      if (!DataIsMeasured(event, algorithm) || event.data != Bytes(4))
        return Insecure("has a separator that is not four zero bytes: the firmware reported an error, or it is forged");
      separated = true;
      continue;
    }
    if (event.type != tcg_event::kEfiVariableDriverConfig) continue;
    const std::string at = " (event at byte " + std::to_string(event.offset) + ")";
    if (separated) {
      // What boots after the separator may measure here, but says nothing about how the firmware was set up.
      continue;
    }
    if (!DataIsMeasured(event, algorithm)) return Insecure("has a variable whose digest does not cover its data" + at);
    ASSIGN_OR_RETURN(const EfiVariable variable, ParseEfiVariable(event.data));
    const bool global = AsText(variable.vendor) == kGlobalVariable, image = AsText(variable.vendor) == kImageSecurity;
    if (!global && !image) continue;
    if (!seen.insert(variable.name).second) return Insecure("has the variable " + variable.name + " twice" + at);
    std::vector<EfiSignature>* list = nullptr;
    if (global && variable.name == "SecureBoot") {
      if (variable.data.size() != 1 || variable.data[0] > 1)
        return Insecure("has a SecureBoot variable that is neither 0 nor 1" + at);
      facts.enabled = variable.data[0] == 1;
    } else if (global && variable.name == "PK") {
      list = &facts.platform_keys;
    } else if (global && variable.name == "KEK") {
      list = &facts.exchange_keys;
    } else if (image && variable.name == "db") {
      list = &facts.permitted;
    } else if (image && variable.name == "dbx") {
      list = &facts.forbidden;
    }
    if (list) {
      ASSIGN_OR_RETURN(*list, ParseEfiSignatureLists(variable.data));
    }
  }
  if (!separated) return Insecure("has no separator, so who wrote its events is unknown");
  if (!seen.contains("SecureBoot")) return Insecure("has no SecureBoot variable");
  return facts;
}

}  // namespace ccgpu::evidence
