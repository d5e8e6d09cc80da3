// The key schedule (DSP0274 "Key schedule", suite SHA-384 + AES-256-GCM): pure functions from an ECDH secret and
// transcript hashes to secrets. `version` is the negotiated SPDM version, which is part of each label ("spdm1.1 ").
#pragma once

#include "base/bytes.h"

namespace ccgpu::spdm {

// LE16(length) || "spdmX.Y " || label || context.
Bytes BinConcat(uint8_t version, std::string_view label, ByteView context, uint16_t length);

struct HandshakeSecrets {
  Bytes handshake, request, response;
};
HandshakeSecrets DeriveHandshakeSecrets(uint8_t version, ByteView dhe_secret, ByteView th1_hash);

struct DataSecrets {
  Bytes master, request, response, export_master;
};
DataSecrets DeriveDataSecrets(uint8_t version, ByteView handshake_secret, ByteView th2_hash);

Bytes FinishedKey(uint8_t version, ByteView direction_secret);
// KEY_UPDATE: the direction's next secret.
Bytes UpdatedSecret(uint8_t version, ByteView direction_secret);

struct RecordKey {
  Bytes key;  // 32
  Bytes iv;   // 12
};
RecordKey DeriveRecordKey(uint8_t version, ByteView direction_secret);

}  // namespace ccgpu::spdm
