// The responder's half of mutual authentication: inside the handshake it turns the roles round, asks the requester for
// its DIGESTS and its certificate chain (slot 0) by encapsulated requests, and then holds the key that FINISH must be
// signed with.
//
//   kEncapsulated:        GET_ENCAPSULATED_REQUEST -> GET_DIGESTS (id 1), DELIVER -> GET_CERTIFICATE (id 2), DELIVER ->
//   ..
//                         until the chain is whole, then an acknowledgement without payload
//   kImplicitGetDigests:  the same, beginning with DELIVER of DIGESTS (id 0)
//
// An answer under another id, or a message out of this order, is an ERROR that changes nothing; an answer that is not
// what was asked for, or a chain that is not accepted, ends the handshake (rule 16).
#pragma once

#include <functional>

#include "trust/spdm/certificate_chain.h"

namespace ccgpu::spdm {

// Whether this requester may have a session. Only the chain's form and its leaf's key type are checked before.
using AcceptRequester = std::function<bool(const std::vector<crypto::Certificate>& chain)>;

// For one handshake; not for several threads.
class RequesterAuthentication {
 public:
  // `portion`: the most bytes of a chain to ask for at once. `accept` may be empty: any chain will do.
  RequesterAuthentication(uint8_t version, MutualAuth mode, size_t portion, AcceptRequester accept);

  struct Answer {
    Bytes message;
    bool ends_handshake = false;
  };
  Answer OnGetEncapsulatedRequest(ByteView message);
  Answer OnDeliverEncapsulatedResponse(ByteView message);

  bool done() const { return state_ == State::kDone; }
  const Bytes& chain_hash() const { return chain_hash_; }  // when done: what the transcript takes
  const crypto::PublicKey& key() const { return key_; }    // when done: of the leaf, RSA with 3072 bits

 private:
  enum class State { kNotAsked, kDigests, kCertificate, kDone };

  // What the requester answered to the request in flight; false when it is not an answer to it.
  bool Take(ByteView response);
  bool TakeChain();
  Bytes Request() const;
  Answer Refuse(uint8_t code, bool ends_handshake = false) const;
  void NextId() { request_id_ = request_id_ == 0xFF ? 1 : request_id_ + 1; }

  uint8_t version_;
  AcceptRequester accept_;
  State state_;
  uint8_t request_id_ = 0;
  Bytes digest_;
  ChainReader reader_;
  Bytes chain_hash_;
  crypto::PublicKey key_;
};

}  // namespace ccgpu::spdm
