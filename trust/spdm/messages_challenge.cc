// CHALLENGE and CHALLENGE_AUTH, which other devices' logs hold and an H100 does not speak.
#include "trust/spdm/messages_wire.h"

namespace ccgpu::spdm {

using wire::End;
using wire::Start;
using wire::StartWriter;

Bytes Encode(const Challenge& message) {
  Writer out = StartWriter({message.version, kChallenge, message.slot, message.summary_type});
  out.Raw(message.nonce);
  return std::move(out).Finish();
}

Result<Challenge> DecodeChallenge(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kChallenge, "CHALLENGE"));
  Challenge out{header.version, header.param1, header.param2, ToBytes(in.Take(kNonceSize))};
  RETURN_IF_ERROR(End(in, message, "CHALLENGE"));
  return out;
}

Bytes Encode(const ChallengeAuth& message) {
  Writer out = StartWriter({message.version, kChallengeAuth, message.slot, message.slot_mask});
  out.Raw(message.chain_hash).Raw(message.nonce).Raw(message.summary_hash);
  out.U16(message.opaque.size()).Raw(message.opaque).Raw(message.signature);
  return std::move(out).Finish();
}

Result<ChallengeAuth> DecodeChallengeAuth(ByteView* message, bool with_summary) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kChallengeAuth, "CHALLENGE_AUTH"));
  ChallengeAuth out;
  out.version = header.version;
  out.slot = header.param1;
  out.slot_mask = header.param2;
  out.chain_hash = ToBytes(in.Take(kHashSize));
  out.nonce = ToBytes(in.Take(kNonceSize));
  if (with_summary) out.summary_hash = ToBytes(in.Take(kHashSize));
  const size_t opaque_size = in.U16();
  out.opaque = ToBytes(in.Take(opaque_size));
  out.signature = ToBytes(in.Take(kSignatureSize));
  RETURN_IF_ERROR(End(in, message, "CHALLENGE_AUTH"));
  return out;
}

}  // namespace ccgpu::spdm
