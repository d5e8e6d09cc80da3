#include "trust/spdm/doe.h"

#include <algorithm>

namespace ccgpu::spdm {
namespace {

constexpr size_t kHeader = 8;
constexpr uint32_t kMaxWords = 1u << 18;
constexpr uint16_t kPciSig = 1;
constexpr uint8_t kProtocols = 3;
constexpr size_t kRecordHeader = 6;  // session id u32, length u16

Bytes Object(DoeType type, ByteView payload) {
  const size_t words = (kHeader + payload.size() + 3) / 4;
  Writer out;
  out.U16(kPciSig).U8(static_cast<uint8_t>(type)).U8(0).U32(words == kMaxWords ? 0 : words).Raw(payload);
  out.Zeros(words * 4 - out.size());
  return std::move(out).Finish();
}

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

}  // namespace

Bytes EncodeDoe(const Packet& packet) {
  return Object(packet.secured ? DoeType::kSecuredSpdm : DoeType::kSpdm, packet.bytes);
}

Result<DoeType> DoeTypeOf(ByteView object) {
  Reader in(object);
  const uint16_t vendor = in.U16();
  const uint8_t type = in.U8();
  in.Skip(1);
  const uint32_t words = in.U32() & (kMaxWords - 1);
  if (!in.ok()) return Err("spdm.doe-malformed", "DOE object", "shorter than its 8-byte header");
  const size_t size = size_t{words == 0 ? kMaxWords : words} * 4;
  if (size != object.size()) {
    return Err(
        "spdm.doe-malformed", "DOE object",
        "its length field says " + std::to_string(size) + " bytes, the object has " + std::to_string(object.size()));
  }
  if (vendor != kPciSig)
    return Err("spdm.doe-type", "DOE object", "vendor " + std::to_string(vendor) + " is not PCI-SIG (1)");
  if (type > static_cast<uint8_t>(DoeType::kSecuredSpdm)) {
    return Err("spdm.doe-type", "DOE object",
               "type " + std::to_string(type) + " is neither discovery (0) nor SPDM (1, 2)");
  }
  return static_cast<DoeType>(type);
}

Result<Packet> DecodeDoe(ByteView object) {
  ASSIGN_OR_RETURN(const DoeType type, DoeTypeOf(object));
  ByteView payload = object.subspan(kHeader);
  if (type == DoeType::kDiscovery)
    return Err("spdm.doe-type", "DOE object", "a discovery object where an SPDM message belongs");
  if (payload.empty()) return Err("spdm.doe-malformed", "DOE object", "no payload");
  if (type == DoeType::kSpdm) return Packet{false, ToBytes(payload)};

  Reader in(payload);
  in.Skip(4);
  const size_t length = in.U16();
  if (!in.ok() || length > in.remaining()) {
    return Err("spdm.doe-malformed", "secured record", "its length field reaches past the object's end");
  }
  const ByteView padding = payload.subspan(kRecordHeader + length);
  if (padding.size() > 3 || !AllZero(padding)) {
    return Err("spdm.doe-malformed", "secured record", "bytes follow the record that are not padding");
  }
  return Packet{true, ToBytes(payload.first(kRecordHeader + length))};
}

Bytes EncodeDiscoveryRequest(uint8_t index) { return Object(DoeType::kDiscovery, Bytes{index, 0, 0, 0}); }

Result<DoeProtocol> DecodeDiscoveryResponse(ByteView object) {
  ASSIGN_OR_RETURN(const DoeType type, DoeTypeOf(object));
  if (type != DoeType::kDiscovery) return Err("spdm.doe-type", "DOE discovery", "the answer is not a discovery object");
  Reader in(object.subspan(kHeader));
  DoeProtocol protocol;
  protocol.vendor = in.U16();
  const uint8_t offered = in.U8();
  protocol.next = in.U8();
  if (!in.AtEnd()) return Err("spdm.doe-malformed", "DOE discovery", "the answer must have 4 bytes of payload");
  if (protocol.vendor != kPciSig || offered > static_cast<uint8_t>(DoeType::kSecuredSpdm)) {
    return Err("spdm.doe-type", "DOE discovery", "the device offers a protocol that we do not know");
  }
  protocol.type = static_cast<DoeType>(offered);
  return protocol;
}

Result<Bytes> AnswerDiscovery(ByteView object) {
  ASSIGN_OR_RETURN(const DoeType type, DoeTypeOf(object));
  if (type != DoeType::kDiscovery || object.size() != kHeader + 4) {
    return Err("spdm.doe-malformed", "DOE discovery", "the request must be a discovery object with 4 bytes of payload");
  }
  const uint8_t index = object[kHeader];
  if (index >= kProtocols) return Object(DoeType::kDiscovery, Bytes{0xFF, 0xFF, 0, 0});
  const uint8_t next = index + 1 < kProtocols ? index + 1 : 0;
  return Object(DoeType::kDiscovery, Bytes{kPciSig, 0, index, next});
}

}  // namespace ccgpu::spdm
