#include "trust/spdm/requester_authentication.h"

#include "base/crypto/digest.h"

namespace ccgpu::spdm {

RequesterAuthentication::RequesterAuthentication(uint8_t version, MutualAuth mode, size_t portion,
                                                 AcceptRequester accept)
    : version_(version),
      accept_(std::move(accept)),
      state_(mode == MutualAuth::kImplicitGetDigests ? State::kDigests : State::kNotAsked),
      reader_(version, portion) {}

RequesterAuthentication::Answer RequesterAuthentication::Refuse(uint8_t code, bool ends_handshake) const {
  return {Encode(ErrorMessage{version_, code, 0, {}}), ends_handshake};
}

Bytes RequesterAuthentication::Request() const {
  return state_ == State::kDigests ? EncodeHeader({version_, kGetDigests, 0, 0}) : Encode(reader_.Next());
}

RequesterAuthentication::Answer RequesterAuthentication::OnGetEncapsulatedRequest(ByteView message) {
  if (!DecodeHeaderOnly(&message, kGetEncapsulatedRequest, "GET_ENCAPSULATED_REQUEST").ok())
    return Refuse(kInvalidRequest);
  if (state_ != State::kNotAsked) return Refuse(kUnexpectedRequest);
  state_ = State::kDigests;
  NextId();
  return {Encode(EncapsulatedRequest{version_, request_id_, Request()})};
}

RequesterAuthentication::Answer RequesterAuthentication::OnDeliverEncapsulatedResponse(ByteView message) {
  Result<DeliverEncapsulatedResponse> delivered = DecodeDeliverEncapsulatedResponse(&message);
  if (!delivered.ok()) return Refuse(kInvalidRequest);
  if (state_ == State::kNotAsked || state_ == State::kDone) return Refuse(kUnexpectedRequest);
  if (delivered->request_id != request_id_) return Refuse(kInvalidRequest);
  if (!Take(delivered->response)) return Refuse(kInvalidResponseCode, /*ends_handshake=*/true);
  EncapsulatedResponseAck ack;
  ack.version = version_;
  ack.ack_request_id = request_id_;
  if (!done()) {
    NextId();
    ack.request_id = request_id_;
    ack.payload = AckPayload::kRequest;
    ack.request = Request();
  }
  return {Encode(ack)};
}

bool RequesterAuthentication::Take(ByteView response) {
  if (response[0] != version_) return false;
  ByteView exact = response;
  if (state_ == State::kDigests) {
    Result<Digests> digests = DecodeDigests(&exact);
    if (!digests.ok() || exact.size() != response.size() || !(digests->slot_mask & 1)) return false;
    digest_ = std::move(digests->digests.front());
    state_ = State::kCertificate;
    return true;
  }
  Result<CertificatePortion> portion = DecodeCertificate(&exact);
  if (!portion.ok() || exact.size() != response.size() || !reader_.Add(*portion).ok()) return false;
  return !reader_.done() || TakeChain();
}

bool RequesterAuthentication::TakeChain() {
  chain_hash_ = crypto::Sha384(reader_.chain());
  if (!EqualConstantTime(chain_hash_, digest_)) return false;
  const Result<std::vector<crypto::Certificate>> chain = DecodeChain(reader_.chain());
  if (!chain.ok()) return false;
  key_ = chain->back().key();
  if (!key_.valid() || key_.type() != crypto::KeyType::kRsa3072) return false;
  if (accept_ && !accept_(*chain)) return false;
  state_ = State::kDone;
  return true;
}

}  // namespace ccgpu::spdm
