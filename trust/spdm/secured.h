// Secured records (DSP0277) as DOE carries them: no sequence number on the wire, no random padding of our own.
//
//   session id u32 | length u16 of what follows || AES-256-GCM{ message length u16 | message | random } | tag 16
//
// Additional data: the first six bytes. Nonce: iv XOR the 64-bit sequence number, little-endian, at nonce[0..7].
#pragma once

#include "base/crypto/aead.h"
#include "trust/spdm/key_schedule.h"

namespace ccgpu::spdm {

// One direction of a session in one key epoch: a key and its counter. The counter never wraps; at its end both calls
// fail with spdm.sequence-exhausted. Not for several threads.
class RecordCipher {
 public:
  explicit RecordCipher(const RecordKey& key);

  // Precondition: at most 65517 bytes (messages have at most kMaxMessageSize).
  Result<Bytes> Seal(uint32_t session_id, ByteView message);
  // The record must be the next one of this direction: replayed, reordered, changed or foreign ones fail with
  // spdm.record-rejected, and the counter then stays. Ends the session in the caller's hands: there is no second try.
  Result<Bytes> Open(uint32_t session_id, ByteView record);
  uint64_t sequence() const { return sequence_; }
  void set_sequence_for_test(uint64_t sequence) { sequence_ = sequence; }

 private:
  Result<Bytes> NextNonce() const;
  crypto::Aead aead_;
  Bytes iv_;
  uint64_t sequence_ = 0;
};

}  // namespace ccgpu::spdm
