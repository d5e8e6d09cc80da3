#include "trust/spdm/transcript.h"

#include "base/crypto/digest.h"
#include "base/crypto/key.h"
#include "trust/spdm/constants.h"

namespace ccgpu::spdm {
namespace {

constexpr size_t kMaxMeasurementTranscript = 256 * 1024;
constexpr size_t kContextSize = 36;

std::string_view ContextText(SigningContext context) {
  switch (context) {
    case SigningContext::kMeasurements: return "responder-measurements signing";
    case SigningContext::kKeyExchangeRsp: return "responder-key_exchange_rsp signing";
    case SigningContext::kFinish: return "requester-finish signing";
    case SigningContext::kChallengeAuth: return "responder-challenge_auth signing";
  }
  return "";
}

// What goes into the signature's own hash.
Bytes SignedBytes(uint8_t version, SigningContext context, ByteView transcript) {
  if (version < kVersion12) return ToBytes(transcript);
  Writer out;
  for (int i = 0; i < 4; ++i) out.Text("dmtf-spdm-v1.2.*");
  const std::string_view text = ContextText(context);
  out.Zeros(kContextSize - text.size()).Text(text).Raw(crypto::Sha384(transcript));
  return std::move(out).Finish();
}

}  // namespace

Bytes SignTranscript(const crypto::PrivateKey& key, uint8_t version, SigningContext context, ByteView transcript) {
  const Bytes bytes = SignedBytes(version, context, transcript);
  return context == SigningContext::kFinish ? key.SignPss(crypto::Hash::kSha384, bytes)
                                            : key.SignRaw(crypto::Hash::kSha384, bytes);
}

bool VerifyTranscript(const crypto::PublicKey& key, uint8_t version, SigningContext context, ByteView transcript,
                      ByteView signature) {
  const Bytes bytes = SignedBytes(version, context, transcript);
  if (context == SigningContext::kFinish) {
    return key.type() == crypto::KeyType::kRsa3072 && key.VerifyPss(crypto::Hash::kSha384, bytes, signature);
  }
  return key.type() == crypto::KeyType::kP384 && key.VerifyRaw(crypto::Hash::kSha384, bytes, signature);
}

bool MeasurementTranscript::Add(ByteView message) {
  if (messages_.size() + message.size() > kMaxMeasurementTranscript) {
    Reset();
    return false;
  }
  Append(messages_, message);
  return true;
}

Bytes MeasurementTranscript::ToSign(uint8_t version, ByteView vca) const {
  return version >= kVersion12 ? Concat({vca, messages_}) : messages_;
}

}  // namespace ccgpu::spdm
