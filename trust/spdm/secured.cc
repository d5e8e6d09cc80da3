#include "trust/spdm/secured.h"

#include <algorithm>
#include <limits>

namespace ccgpu::spdm {
namespace {

constexpr size_t kRecordHeader = 6;
constexpr size_t kLengthField = 2;

Error Rejected(std::string text) { return Err("spdm.record-rejected", "secured record", std::move(text)); }

}  // namespace

RecordCipher::RecordCipher(const RecordKey& key) : aead_(key.key), iv_(key.iv) {}

Result<Bytes> RecordCipher::NextNonce() const {
  if (sequence_ == std::numeric_limits<uint64_t>::max()) {
    return Err("spdm.sequence-exhausted", "session", "the record counter reached its end; start a new session");
  }
  Bytes nonce = iv_;
  for (size_t i = 0; i < 8; ++i) nonce[i] ^= static_cast<uint8_t>(sequence_ >> (8 * i));
  return nonce;
}

Result<Bytes> RecordCipher::Seal(uint32_t session_id, ByteView message) {
  ASSIGN_OR_RETURN(const Bytes nonce, NextNonce());
  const size_t sealed_size = kLengthField + message.size();
  Writer out;
  out.U32(session_id)
      .U16(sealed_size + crypto::kAeadTagSize)
      .U16(message.size())
      .Raw(message)
      .Zeros(crypto::kAeadTagSize);
  Bytes record = std::move(out).Finish();
  uint8_t* body = record.data() + kRecordHeader;
  aead_.Seal(nonce, ByteView(record).first(kRecordHeader), {body, sealed_size}, body, body + sealed_size);
  ++sequence_;
  return record;
}

Result<Bytes> RecordCipher::Open(uint32_t session_id, ByteView record) {
  ASSIGN_OR_RETURN(const Bytes nonce, NextNonce());
  Reader in(record);
  const uint32_t id = in.U32();
  const size_t length = in.U16();
  const ByteView body = in.Take(length);
  const ByteView padding = in.Rest();
  if (!in.ok() || length < kLengthField + crypto::kAeadTagSize) return Rejected("its length field does not fit");
  if (padding.size() > 3 || std::any_of(padding.begin(), padding.end(), [](uint8_t b) { return b != 0; })) {
    return Rejected("bytes follow it");
  }
  if (id != session_id) return Rejected("it names another session");
  Bytes plain(length - crypto::kAeadTagSize);
  if (!aead_.Open(nonce, record.first(kRecordHeader), body.first(plain.size()), body.last(crypto::kAeadTagSize),
                  plain.data())) {
    return Rejected("it was changed, replayed, reordered or made with another key");
  }
  Reader content(plain);
  const size_t size = content.U16();
  if (size > content.remaining()) return Rejected("its inner length reaches past its end");
  ++sequence_;
  return ToBytes(content.Take(size));
}

}  // namespace ccgpu::spdm
