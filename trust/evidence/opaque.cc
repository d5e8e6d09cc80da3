#include "trust/evidence/opaque.h"

#include <algorithm>
#include <cstdio>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

constexpr std::string_view kMagic = "NVDAOD";
constexpr size_t kVersionedHeader = 12;
constexpr uint8_t kNewestMajor = 2;
constexpr uint64_t kNewestVersionField = 2;
constexpr size_t kGpuLinks = 18, kSwitchGpus = 8, kSwitchPorts = 64;
constexpr uint8_t kOn = 0xaa, kOff = 0x55;

uint64_t LittleEndian(ByteView bytes) {
  uint64_t out = 0;
  for (size_t i = bytes.size(); i > 0; --i) out = out << 8 | bytes[i - 1];
  return out;
}

std::vector<Bytes> EachOnce(std::vector<Bytes> list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

Error Bad(size_t offset, std::string text) {
  return Err("gpu.report-malformed", "opaque data", "at its byte " + std::to_string(offset) + ": " + std::move(text));
}

}  // namespace

const Bytes* OpaqueData::Find(uint16_t type) const {
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const OpaqueField& f) { return f.type == type; });
  return it == fields.end() ? nullptr : &it->data;
}

std::string OpaqueData::Text(uint16_t type) const {
  const Bytes* data = Find(type);
  if (!data) return "";
  // Text ends at the first NUL; what is not printable never reaches names of files or RIM ids.
  std::string text(data->begin(), std::find(data->begin(), data->end(), 0));
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return printable ? text : "";
}

std::string OpaqueData::VbiosVersion() const {
  const Bytes* data = Find(opaque_type::kVbiosVersion);
  if (!data) return "";
  if (data->size() != 8) return Text(opaque_type::kVbiosVersion);  // a switch writes plain text
  const Bytes& b = *data;
  char text[16];
  std::snprintf(text, sizeof text, "%02X.%02X.%02X.%02X.%02X", b[3], b[2], b[1], b[0], b[4]);
  return text;
}

std::optional<Bytes> OpaqueData::Fwid() const {
  const Bytes* data = Find(opaque_type::kFwid);
  return data ? std::optional<Bytes>(*data) : std::nullopt;
}

std::optional<uint8_t> OpaqueData::Nvdec0() const {
  const Bytes* data = Find(opaque_type::kNvdec0Status);
  return data && data->size() == 1 ? std::optional<uint8_t>((*data)[0]) : std::nullopt;
}

std::string OpaqueData::ProtectionMode() const {
  const Bytes* status = Find(opaque_type::kProtectedPcieStatus);
  // The flag means something from version 1 on, or in the new form.
  const Bytes* version = Find(opaque_type::kVersion);
  const bool flag_counts = versioned || (version && version->size() <= 8 && LittleEndian(*version) >= 1);
  const Bytes* flag = flag_counts ? Find(opaque_type::kFeatureFlag) : nullptr;
  if (!status && !flag) return "";
  const std::optional<bool> ppcie = !status                  ? std::nullopt
                                    : *status == Bytes{kOn}  ? std::optional(true)
                                    : *status == Bytes{kOff} ? std::optional(false)
                                                             : std::nullopt;
  if (status && !ppcie) return "mixed";
  if (!flag) return *ppcie ? "ppcie" : "spt";
  if (flag->size() != 2) return "mixed";
  const uint64_t value = LittleEndian(*flag);
  if (value > 2 || (ppcie && *ppcie != (value == 2))) return "mixed";
  return value == 0 ? "spt" : value == 1 ? "mpt" : "ppcie";
}

std::optional<std::vector<Bytes>> OpaqueData::PeerSwitchPdis() const {
  const Bytes* data = Find(opaque_type::kSwitchPdi);
  if (!data || data->size() != kGpuLinks * kPdiSize) return std::nullopt;
  std::vector<Bytes> out;
  for (size_t at = 0; at < data->size(); at += kPdiSize) {
    Bytes pdi(data->rend() - static_cast<ptrdiff_t>(at + kPdiSize), data->rend() - static_cast<ptrdiff_t>(at));
    if (pdi != Bytes(kPdiSize)) out.push_back(std::move(pdi));
  }
  return EachOnce(std::move(out));
}

std::optional<std::vector<Bytes>> OpaqueData::PeerGpuPdis() const {
  const Bytes* data = Find(opaque_type::kSwitchGpuPdis);
  if (!data || data->size() != kSwitchGpus * kPdiSize + kSwitchPorts) return std::nullopt;
  std::vector<Bytes> out;
  for (size_t at = 0; at < kSwitchGpus * kPdiSize; at += kPdiSize) {
    Bytes pdi(data->begin() + static_cast<ptrdiff_t>(at), data->begin() + static_cast<ptrdiff_t>(at + kPdiSize));
    if (pdi != Bytes(kPdiSize)) out.push_back(std::move(pdi));
  }
  return EachOnce(std::move(out));
}

std::optional<uint64_t> OpaqueData::Svn(uint16_t type) const {
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const OpaqueField& f) { return f.type == type; });
  if (!versioned || it == fields.end() || it->value_type != kSvnValueType || it->data.empty() || it->data.size() > 8)
    return std::nullopt;
  return LittleEndian(it->data);
}

void OpaqueData::Set(uint16_t type, Bytes data) {
  for (OpaqueField& field : fields) {
    if (field.type == type) {
      field.data = std::move(data);
      return;
    }
  }
  fields.push_back({type, std::move(data), 0});
}

void OpaqueData::SetText(uint16_t type, std::string_view text) {
  Bytes data = ToBytes(AsBytes(text));
  data.push_back(0);
  Set(type, std::move(data));
}

void OpaqueData::SetVbiosVersion(std::string_view dotted) {
  std::string hex;
  for (char c : dotted) {
    if (c != '.') hex += c;
  }
  const Bytes b = HexDecode(hex).value();
  Set(opaque_type::kVbiosVersion, {b.at(3), b.at(2), b.at(1), b.at(0), b.at(4), 0, 0, 0});
}

Result<OpaqueData> ParseOpaque(ByteView bytes) {
  OpaqueData out;
  Reader in(bytes);
  if (bytes.size() >= kMagic.size() && AsText(bytes.first(kMagic.size())) == kMagic) {
    if (bytes.size() < kVersionedHeader)
      return Bad(0, "the header needs 12 bytes, there are " + std::to_string(bytes.size()));
    in.Skip(kMagic.size());
    const uint16_t profile = in.U16();
    if (profile != 0) return Bad(6, "profile " + std::to_string(profile) + " is unknown, expected 0");
    out.versioned = true;
    out.major = in.U8();
    out.minor = in.U8();
    out.patch = in.U8();
    if (out.major > kNewestMajor)
      return Bad(8, "major version " + std::to_string(out.major) + " is newer than this verifier knows (2)");
    if (in.U8() != 0) return Bad(11, "the header's padding is not zero");
  }
  while (in.remaining() > 0) {
    const size_t at = in.offset();
    OpaqueField field;
    field.type = in.U16();
    if (out.versioned) field.value_type = in.U16();
    const uint16_t size = in.U16();
    field.data = ToBytes(in.Take(size));
    if (!in.ok()) return Bad(at, "a field of " + std::to_string(size) + " bytes goes past the end");
    if (out.Find(field.type)) return Bad(at, "field type " + std::to_string(field.type) + " is there twice");
    out.fields.push_back(std::move(field));
  }
  if (out.fields.empty()) return Bad(0, "there are no fields");
  const Bytes* version = out.Find(opaque_type::kVersion);
  if (version && (version->empty() || version->size() > 8 || LittleEndian(*version) > kNewestVersionField))
    return Bad(0, "its version field is not a number up to " + std::to_string(kNewestVersionField));
  return out;
}

Bytes EncodeOpaque(const OpaqueData& data) {
  Writer out;
  if (data.versioned) out.Text(kMagic).U16(0).U8(data.major).U8(data.minor).U8(data.patch).U8(0);
  for (const OpaqueField& field : data.fields) {
    out.U16(field.type);
    if (data.versioned) out.U16(field.value_type);
    out.U16(field.data.size()).Raw(field.data);
  }
  return std::move(out).Finish();
}

}  // namespace ccgpu::evidence
