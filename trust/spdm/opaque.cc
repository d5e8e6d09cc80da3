#include "trust/spdm/opaque.h"

#include <algorithm>

#include "trust/spdm/constants.h"

namespace ccgpu::spdm {
namespace {

constexpr uint32_t kDmtfSpecId = 0x444D5446;  // general opaque data of 1.1
constexpr uint8_t kDataVersion = 1;
constexpr uint8_t kSelection = 0, kSupported = 1;

Error Malformed(std::string text) { return Err("spdm.malformed", "opaque data", std::move(text)); }

// One element of DMTF's registry (id 0, no vendor id), padded to 4 bytes.
Bytes Wrap(uint8_t spdm_version, ByteView data) {
  Writer out;
  if (spdm_version >= kVersion12) {
    out.U8(1).Zeros(3);
  } else {
    out.U32(kDmtfSpecId).U8(1).U8(1).Zeros(2);
  }
  out.U8(0).U8(0).U16(data.size()).Raw(data);
  out.Zeros((4 - out.size() % 4) % 4);
  return std::move(out).Finish();
}

// The data of the one secured-message element with this id.
Result<Bytes> Find(uint8_t spdm_version, ByteView opaque, uint8_t id) {
  Reader in(opaque);
  if (spdm_version < kVersion12) {
    if (in.U32() != kDmtfSpecId || in.U8() != 1) return Malformed("not DMTF's general opaque data format, version 1");
  }
  const size_t count = in.U8();
  in.Skip(spdm_version >= kVersion12 ? 3 : 2);
  Result<Bytes> found = Malformed("no element says which versions of secured messages are meant");
  for (size_t i = 0; i < count; ++i) {
    const uint8_t registry = in.U8();
    const size_t vendor_size = in.U8();
    in.Skip(vendor_size);
    const size_t size = in.U16();
    const ByteView data = in.Take(size);
    in.Skip((4 - (4 + vendor_size + size) % 4) % 4);
    if (!in.ok()) return Malformed("ends inside element " + std::to_string(i));
    const bool ours = registry == 0 && vendor_size == 0 && size >= 2 && data[0] == kDataVersion && data[1] == id;
    if (!ours) continue;
    if (found.ok()) return Malformed("says twice which versions of secured messages are meant");
    found = ToBytes(data.subspan(2));
  }
  if (in.remaining() > 3) return Malformed("bytes follow its last element");
  return found;
}

}  // namespace

Bytes EncodeSupportedVersions(uint8_t spdm_version) {
  Writer data;
  data.U8(kDataVersion).U8(kSupported).U8(std::size(kSecuredVersions));
  for (uint16_t version : kSecuredVersions) data.U16(version);
  return Wrap(spdm_version, data.bytes());
}

Bytes EncodeSelectedVersion(uint8_t spdm_version, uint16_t selected) {
  Writer data;
  data.U8(kDataVersion).U8(kSelection).U16(selected);
  return Wrap(spdm_version, data.bytes());
}

Result<std::vector<uint16_t>> DecodeSupportedVersions(uint8_t spdm_version, ByteView opaque) {
  ASSIGN_OR_RETURN(const Bytes data, Find(spdm_version, opaque, kSupported));
  Reader in(data);
  std::vector<uint16_t> versions(in.U8());
  for (uint16_t& version : versions) version = in.U16();
  if (!in.AtEnd()) return Malformed("the list of versions does not fill its element");
  return versions;
}

Result<uint16_t> DecodeSelectedVersion(uint8_t spdm_version, ByteView opaque) {
  ASSIGN_OR_RETURN(const Bytes data, Find(spdm_version, opaque, kSelection));
  Reader in(data);
  const uint16_t version = in.U16();
  if (!in.AtEnd()) return Malformed("the selected version must have 2 bytes");
  if (std::ranges::find(kSecuredVersions, version) == std::end(kSecuredVersions)) {
    return Err("spdm.version", "secured messages",
               "the device chose version " + std::to_string(version) + ", which was not offered");
  }
  return version;
}

}  // namespace ccgpu::spdm
