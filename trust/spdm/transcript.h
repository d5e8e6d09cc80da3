// What signatures and key schedules commit to (DSP0274 "Transcript"): the messages exactly as they crossed, without
// padding.
#pragma once

#include "base/bytes.h"

namespace ccgpu::crypto {
class PrivateKey;
class PublicKey;
}  // namespace ccgpu::crypto

namespace ccgpu::spdm {

// The signatures that are made here, by their context strings (1.2): the responder's, and the requester's in FINISH.
// kChallengeAuth only for logs of other devices.
enum class SigningContext { kMeasurements, kKeyExchangeRsp, kFinish, kChallengeAuth };

// ECDSA P-384, raw r||s; in FINISH RSASSA-PSS with 3072 bits, SHA-384 and a salt of 48 bytes. 1.1 signs
// Hash(transcript); 1.2 signs Hash(prefix || Hash(transcript)). Verifying with a key of another type is false.
Bytes SignTranscript(const crypto::PrivateKey& key, uint8_t version, SigningContext context, ByteView transcript);
[[nodiscard]] bool VerifyTranscript(const crypto::PublicKey& key, uint8_t version, SigningContext context,
                                    ByteView transcript, ByteView signature);

// L1/L2: GET_MEASUREMENTS and MEASUREMENTS since the last signature or any other request. One outside sessions, one in
// each.
class MeasurementTranscript {
 public:
  void Reset() { messages_.clear(); }
  // False, and empty again, when the peer asks on and on without ever taking a signature (256 KiB).
  [[nodiscard]] bool Add(ByteView message);
  // What is signed: 1.2 puts the VCA in front.
  Bytes ToSign(uint8_t version, ByteView vca) const;

 private:
  Bytes messages_;
};

}  // namespace ccgpu::spdm
