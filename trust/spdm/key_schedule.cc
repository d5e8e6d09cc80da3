#include "trust/spdm/key_schedule.h"

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "trust/spdm/constants.h"

namespace ccgpu::spdm {
namespace {

constexpr crypto::Hash kHash = crypto::Hash::kSha384;

Bytes Expand(ByteView secret, uint8_t version, std::string_view label, ByteView context, size_t length) {
  return crypto::HkdfExpand(kHash, secret, BinConcat(version, label, context, static_cast<uint16_t>(length)), length);
}

}  // namespace

Bytes BinConcat(uint8_t version, std::string_view label, ByteView context, uint16_t length) {
  Writer out;
  out.U16(length)
      .Text("spdm")
      .U8('0' + (version >> 4))
      .U8('.')
      .U8('0' + (version & 0xF))
      .U8(' ')
      .Text(label)
      .Raw(context);
  return std::move(out).Finish();
}

HandshakeSecrets DeriveHandshakeSecrets(uint8_t version, ByteView dhe_secret, ByteView th1_hash) {
  HandshakeSecrets out;
  out.handshake = crypto::HkdfExtract(kHash, Bytes(kHashSize), dhe_secret);
  out.request = Expand(out.handshake, version, "req hs data", th1_hash, kHashSize);
  out.response = Expand(out.handshake, version, "rsp hs data", th1_hash, kHashSize);
  return out;
}

DataSecrets DeriveDataSecrets(uint8_t version, ByteView handshake_secret, ByteView th2_hash) {
  DataSecrets out;
  Bytes salt = Expand(handshake_secret, version, "derived", {}, kHashSize);
  out.master = crypto::HkdfExtract(kHash, salt, Bytes(kHashSize));
  Wipe(salt);
  out.request = Expand(out.master, version, "req app data", th2_hash, kHashSize);
  out.response = Expand(out.master, version, "rsp app data", th2_hash, kHashSize);
  out.export_master = Expand(out.master, version, "exp master", th2_hash, kHashSize);
  return out;
}

Bytes FinishedKey(uint8_t version, ByteView direction_secret) {
  return Expand(direction_secret, version, "finished", {}, kHashSize);
}

Bytes UpdatedSecret(uint8_t version, ByteView direction_secret) {
  return Expand(direction_secret, version, "traffic upd", {}, kHashSize);
}

RecordKey DeriveRecordKey(uint8_t version, ByteView direction_secret) {
  return {Expand(direction_secret, version, "key", {}, crypto::kAeadKeySize),
          Expand(direction_secret, version, "iv", {}, crypto::kAeadNonceSize)};
}

}  // namespace ccgpu::spdm
