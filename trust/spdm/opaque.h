// The opaque data of KEY_EXCHANGE and KEY_EXCHANGE_RSP: which versions of secured messages (DSP0277) the requester
// speaks, and which one the responder chose. SPDM 1.1 wraps it in the "DMTF" general format, 1.2 in opaque data
// format 1.
#pragma once

#include "base/bytes.h"

namespace ccgpu::spdm {

// DSP0277 versions as they stand on the wire: 1.0, 1.1, 1.2. For us they differ in nothing (no sequence number on the
// wire).
inline constexpr uint16_t kSecuredVersions[] = {0x1000, 0x1100, 0x1200};

Bytes EncodeSupportedVersions(uint8_t spdm_version);
Bytes EncodeSelectedVersion(uint8_t spdm_version, uint16_t selected);

// The versions in a requester's opaque data. Elements of other registries are skipped. Code: spdm.malformed.
Result<std::vector<uint16_t>> DecodeSupportedVersions(uint8_t spdm_version, ByteView opaque);
// The version that the responder chose; refuses one that we do not speak (spdm.version).
Result<uint16_t> DecodeSelectedVersion(uint8_t spdm_version, ByteView opaque);

}  // namespace ccgpu::spdm
