// The responder's part in sessions: KEY_EXCHANGE, FINISH, KEY_UPDATE, VENDOR_DEFINED.
#include <algorithm>

#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/responder.h"

namespace ccgpu::spdm {

using RequesterAuth = ResponderConfig::RequesterAuth;

bool Responder::PeerCanAuthenticate() const { return (peer_flags_ & kCapMutAuth) && requester_signature_negotiated_; }

Bytes Responder::OnKeyExchange(ByteView message) {
  if (!key_exchange_negotiated_) return Fail(kUnsupportedRequest, kKeyExchange);
  Result<KeyExchange> request = DecodeKeyExchange(&message);
  if (!request.ok() || request->slot != 0) return Fail(kInvalidRequest);
  const uint8_t summary = request->summary_type;
  if (summary != kSummaryNone && summary != kSummaryTcb && summary != kSummaryAll) return Fail(kInvalidRequest);
  Result<std::vector<uint16_t>> versions = DecodeSupportedVersions(version_, request->opaque);
  if (!versions.ok()) return Fail(kInvalidRequest);
  uint16_t secured_version = 0;
  for (uint16_t ours : kSecuredVersions) {
    if (std::ranges::find(*versions, ours) != versions->end()) secured_version = ours;
  }
  if (secured_version == 0) return Fail(kInvalidRequest);
  Result<crypto::PublicKey> peer = crypto::PublicKey::FromPoint(crypto::KeyType::kP384, request->exchange);
  if (!peer.ok()) return Fail(kInvalidRequest);
  if (in_session()) return Fail(kSessionLimitExceeded);
  const bool authenticate = config_.requester_auth != RequesterAuth::kNever && PeerCanAuthenticate();
  if (config_.requester_auth == RequesterAuth::kRequired && !authenticate)
    return Fail(kUnsupportedRequest, kKeyExchange);

  const crypto::PrivateKey ephemeral = MakeEphemeralKey(*config_.random);
  Result<Bytes> secret = ephemeral.Agree(*peer);
  if (!secret.ok()) return Fail(kInvalidRequest);

  KeyExchangeRsp response;
  response.version = version_;
  response.heartbeat_period = (peer_flags_ & kCapHeartbeat) ? config_.heartbeat_period_s : 0;
  const Bytes id = config_.random->Take(2);
  response.session_id = static_cast<uint16_t>(id[0] | id[1] << 8);
  response.mutual_auth = static_cast<uint8_t>(authenticate ? config_.mutual_auth : MutualAuth::kNone);
  response.random = config_.random->Take(kNonceSize);
  response.exchange = ephemeral.public_key().Point();
  if (summary != kSummaryNone) response.summary_hash = SummaryHash(config_.measurements->Blocks(), summary);
  response.opaque = EncodeSelectedVersion(version_, secured_version);

  // Each field of the response signs or authenticates all before it.
  const Bytes before = Concat({vca_, chain_hash_, message});
  response.signature =
      SignTranscript(config_.key, version_, SigningContext::kKeyExchangeRsp, Concat({before, Encode(response)}));
  const Bytes th1 = Concat({before, Encode(response)});
  const uint32_t session_id = uint32_t{response.session_id} << 16 | request->session_id;
  session_ = std::make_unique<Session>(Session::Role::kResponder, version_, session_id, *secret, crypto::Sha384(th1));
  Wipe(*secret);
  must_verify_key_ = false;
  constexpr size_t kPortionHeaders = 12;  // of CERTIFICATE, and of DELIVER_ENCAPSULATED_RESPONSE around it
  requester_ = authenticate ? std::make_unique<RequesterAuthentication>(version_, config_.mutual_auth,
                                                                        config_.max_message_size - kPortionHeaders,
                                                                        config_.accept_requester)
                            : nullptr;
  response.verify_data = session_->ResponderVerifyData(th1);
  const Bytes bytes = Encode(response);
  if (bytes.size() > peer_max_size_) {
    session_.reset();
    requester_.reset();
  } else {
    session_->transcript = Concat({before, bytes});
  }
  return bytes;
}

Bytes Responder::OnFinish(ByteView message) {
  const bool authenticated = requester_ != nullptr;  // done(), or the message would not have come here
  Result<Finish> request = DecodeFinish(&message, authenticated);
  if (!request.ok() || request->request_slot != 0) return Fail(kInvalidRequest);
  constexpr size_t kHeader = 4;
  Bytes covered = Concat(
      {session_->transcript, authenticated ? ByteView(requester_->chain_hash()) : ByteView(), message.first(kHeader)});
  bool good = true;
  if (authenticated) {
    good = VerifyTranscript(requester_->key(), version_, SigningContext::kFinish, covered, request->signature);
    Append(covered, request->signature);
  }
  if (!good || !EqualConstantTime(request->verify_data, session_->RequesterVerifyData(covered))) {
    after_ = After::kDrop;
    drop_reason_ = "FINISH did not verify";
    return Fail(kDecryptError);
  }
  const Bytes response = EncodeHeader({version_, kFinishRsp, 0, 0});
  session_->transcript = Concat({covered, request->verify_data, response});
  after_ = After::kEstablish;
  return response;
}

// The request key changes at once, so the next record must come under the new one and be VerifyNewKey.
Bytes Responder::OnKeyUpdate(ByteView message) {
  Result<Header> request = DecodeHeaderOnly(&message, kKeyUpdate, "KEY_UPDATE");
  if (!request.ok()) return Fail(kInvalidRequest);
  const Bytes ack = EncodeHeader({version_, kKeyUpdateAck, request->param1, request->param2});
  switch (static_cast<KeyUpdateOp>(request->param1)) {
    case KeyUpdateOp::kUpdateKey:
      if (must_verify_key_) return Fail(kInvalidRequest);
      session_->UpdateRequestKey();
      must_verify_key_ = true;
      return ack;
    case KeyUpdateOp::kUpdateAllKeys:
      if (must_verify_key_) return Fail(kInvalidRequest);
      session_->UpdateRequestKey();
      session_->UpdateResponseKey();  // the acknowledgement already travels under it
      must_verify_key_ = true;
      return ack;
    case KeyUpdateOp::kVerifyNewKey:
      if (!must_verify_key_) return Fail(kInvalidRequest);
      must_verify_key_ = false;
      return ack;
  }
  return Fail(kInvalidRequest);
}

Bytes Responder::OnVendor(ByteView message) {
  Result<VendorDefined> request = DecodeVendorDefined(&message, /*response=*/false);
  if (!request.ok()) return Fail(kInvalidRequest);
  VendorDefined response;
  response.version = version_;
  response.response = true;
  if (!config_.vendor_in_session || request->standard != response.standard || request->vendor != response.vendor) {
    return Fail(kUnsupportedRequest, kVendorDefinedRequest);
  }
  Result<Bytes> answer = config_.vendor_in_session(request->payload);
  if (answer.ok()) {
    response.payload = *std::move(answer);
    return response.payload.size() > config_.max_message_size ? FitToPeer(std::move(response.payload))
                                                              : Encode(response);
  }
  // Extended data of a vendor-defined ERROR: vendor id with its length, then our code, a zero byte, our text.
  constexpr size_t kMaxText = 1024;
  Writer extended;
  extended.U8(response.vendor.size()).Raw(response.vendor);
  extended.Text(answer.error().code).U8(0).Text(std::string_view(answer.error().text).substr(0, kMaxText));
  return Encode(ErrorMessage{version_, kVendorError, kStandardPciSig, extended.bytes()});
}

}  // namespace ccgpu::spdm
