// Data Object Exchange (PCIe 6.30.1): the envelope in which SPDM messages cross the link's mailbox.
//
//   vendor u16 = 1 | type u8 | reserved u8 | length u32 in 4-byte words, header included (0 means 2^18) | payload,
//   padded with zeros
//
// Transcripts never include the padding. Plain messages know their own length only after parsing, so a decoded plain
// Packet may still end in up to three zero bytes; Responder and Requester cut them. Secured records are cut here.
#pragma once

#include "base/bytes.h"

namespace ccgpu::spdm {

enum class DoeType : uint8_t { kDiscovery = 0, kSpdm = 1, kSecuredSpdm = 2 };

struct Packet {
  bool secured = false;  // DOE type 1 (false) or 2 (true)
  Bytes bytes;           // without the DOE header
};

// Precondition: fewer than 2^20 - 8 bytes.
Bytes EncodeDoe(const Packet& packet);
// From a whole DOE object: header, length and padding are checked. Codes: spdm.doe-malformed, spdm.doe-type.
Result<Packet> DecodeDoe(ByteView object);
// The type alone (header and length checked), to route discovery.
Result<DoeType> DoeTypeOf(ByteView object);

// Discovery: the requester asks index 0, 1, .. until next is 0.
struct DoeProtocol {
  uint16_t vendor = 1;
  DoeType type = DoeType::kDiscovery;
  uint8_t next = 0;
};
Bytes EncodeDiscoveryRequest(uint8_t index);
Result<DoeProtocol> DecodeDiscoveryResponse(ByteView object);
// The device's side: we offer discovery, SPDM and secured SPDM. An index past the end answers with vendor 0xFFFF, as
// PCIe wants.
Result<Bytes> AnswerDiscovery(ByteView object);

}  // namespace ccgpu::spdm
