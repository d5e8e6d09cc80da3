#include "trust/spdm/responder.h"

#include <chrono>
#include <utility>

namespace ccgpu::spdm {
namespace {

bool IsKnownRequest(uint8_t code) {
  switch (code) {
    case kGetDigests:
    case kGetCertificate:
    case kGetVersion:
    case kGetMeasurements:
    case kGetCapabilities:
    case kNegotiateAlgorithms:
    case kKeyExchange:
    case kFinish:
    case kHeartbeat:
    case kKeyUpdate:
    case kGetEncapsulatedRequest:
    case kDeliverEncapsulatedResponse:
    case kEndSession:
    case kVendorDefinedRequest: return true;
    default: return false;
  }
}

}  // namespace

Responder::Responder(ResponderConfig config)
    : config_(std::move(config)),
      chain_(EncodeChain(config_.chain_der)),
      chain_hash_(crypto::Sha384(chain_)),
      peer_max_size_(config_.max_message_size) {}

Responder::~Responder() = default;

void Responder::Reset() {
  EndSession("reset");
  state_ = State::kStart;
  version_ = kVersion10;
  peer_flags_ = 0;
  peer_max_size_ = config_.max_message_size;
  key_exchange_negotiated_ = requester_signature_negotiated_ = false;
  vca_.clear();
  measurements_.Reset();
}

void Responder::EndSession(std::string_view why) {
  const bool was_established = in_session();
  session_.reset();
  requester_.reset();
  must_verify_key_ = false;
  after_ = After::kNothing;
  if (was_established && config_.on_session_end) config_.on_session_end(why);
}

void Responder::CheckHeartbeat(TimePoint now) {
  if (!in_session() || config_.heartbeat_period_s == 0 || !(peer_flags_ & kCapHeartbeat)) return;
  if (now - last_traffic_ > std::chrono::seconds(2 * config_.heartbeat_period_s)) EndSession("heartbeat timeout");
}

Bytes Responder::Fail(uint8_t code, uint8_t data) const { return Encode(ErrorMessage{version_, code, data, {}}); }

// 1.2: the requester said how much it takes, and we do not chunk.
Bytes Responder::FitToPeer(Bytes response) const {
  if (response.size() <= peer_max_size_) return response;
  Writer size;
  size.U32(response.size());
  return Encode(ErrorMessage{version_, kResponseTooLarge, 0, size.bytes()});
}

Packet Responder::Handle(const Packet& request, TimePoint now) {
  CheckHeartbeat(now);
  if (request.secured) return HandleSecured(request.bytes, now);
  return {false, FitToPeer(HandlePlain(request.bytes))};
}

Bytes Responder::HandlePlain(ByteView message) {
  const std::optional<Header> header = PeekHeader(message);
  if (!header) return Fail(kInvalidRequest);
  if (header->code != kGetMeasurements) measurements_.Reset();
  if (header->code == kGetVersion) return OnGetVersion(message);
  if (!IsKnownRequest(header->code)) return Fail(kUnsupportedRequest, header->code);
  if (state_ == State::kStart) return Fail(kUnexpectedRequest);
  if (state_ == State::kVersion) {
    return header->code == kGetCapabilities ? OnGetCapabilities(message) : Fail(kUnexpectedRequest);
  }
  if (header->version != version_) return Fail(kVersionMismatch);
  if (message.size() > config_.max_message_size)
    return Fail(version_ >= kVersion12 ? kRequestTooLarge : kInvalidRequest);
  if (state_ == State::kCapabilities) {
    return header->code == kNegotiateAlgorithms ? OnNegotiateAlgorithms(message) : Fail(kUnexpectedRequest);
  }
  switch (header->code) {
    case kGetDigests: return OnGetDigests(message);
    case kGetCertificate: return OnGetCertificate(message);
    case kGetMeasurements: return OnGetMeasurements(message, measurements_);
    case kKeyExchange: return OnKeyExchange(message);
    case kFinish:  // outside only with handshake-in-the-clear, which we do not do
    case kHeartbeat:
    case kKeyUpdate:
    case kEndSession:
    case kVendorDefinedRequest: return Fail(version_ >= kVersion12 ? kSessionRequired : kUnexpectedRequest);
    case kGetEncapsulatedRequest:
    case kDeliverEncapsulatedResponse:  // we ask for nothing outside a handshake
      return peer_flags_ & kCapEncap ? Fail(kUnexpectedRequest) : Fail(kUnsupportedRequest, header->code);
    default: return Fail(kUnexpectedRequest);  // repeated negotiation
  }
}

Packet Responder::HandleSecured(ByteView record, TimePoint now) {
  if (!session_) return {false, Fail(kInvalidSession)};
  Result<Bytes> opened = session_->Open(record);
  if (!opened.ok()) {
    Result<Bytes> answer = session_->Seal(Fail(kDecryptError));
    EndSession("a record did not open");
    return answer.ok() ? Packet{true, *std::move(answer)} : Packet{false, Fail(kInvalidSession)};
  }
  if (in_session()) last_traffic_ = now;

  const ByteView message = *opened;
  const std::optional<Header> header = PeekHeader(message);
  Bytes response;
  if (!header) {
    response = Fail(kInvalidRequest);
  } else if (!IsKnownRequest(header->code)) {
    response = Fail(kUnsupportedRequest, header->code);
  } else if (header->version != version_ && header->code != kGetVersion) {  // which says 1.0, and is never for sessions
    response = Fail(kVersionMismatch);
  } else if (message.size() > config_.max_message_size) {
    response = Fail(version_ >= kVersion12 ? kRequestTooLarge : kInvalidRequest);
  } else {
    response = in_session() ? InSession(*header, message) : InHandshake(*header, message);
  }
  Wipe(*opened);
  if (!session_) return {false, Fail(kInvalidSession)};  // a callback reset us

  Result<Bytes> sealed = session_->Seal(FitToPeer(std::move(response)));
  if (!sealed.ok()) {
    EndSession("the record counter ran out");
    return {false, Fail(kInvalidSession)};
  }
  switch (std::exchange(after_, After::kNothing)) {
    case After::kNothing: break;
    case After::kDrop: EndSession(drop_reason_); break;
    case After::kEstablish: {
      session_->Establish(crypto::Sha384(session_->transcript));
      requester_.reset();
      last_traffic_ = now;
      const Bytes secret = session_->export_master_secret();
      if (config_.on_session) config_.on_session(secret);
      break;
    }
  }
  return {true, *std::move(sealed)};
}

Bytes Responder::Ending(RequesterAuthentication::Answer answer) {
  if (answer.ends_handshake) {
    after_ = After::kDrop;
    drop_reason_ = "the requester did not authenticate";
  }
  return std::move(answer.message);
}

Bytes Responder::InHandshake(const Header& header, ByteView message) {
  const bool encapsulated = header.code == kGetEncapsulatedRequest || header.code == kDeliverEncapsulatedResponse;
  if (encapsulated && !(peer_flags_ & kCapEncap)) return Fail(kUnsupportedRequest, header.code);
  if (encapsulated && requester_) {
    return Ending(header.code == kGetEncapsulatedRequest ? requester_->OnGetEncapsulatedRequest(message)
                                                         : requester_->OnDeliverEncapsulatedResponse(message));
  }
  if (requester_ && !requester_->done()) return Fail(kRequestInFlight);
  return header.code == kFinish ? OnFinish(message) : Fail(kUnexpectedRequest);
}

Bytes Responder::InSession(const Header& header, ByteView message) {
  if (header.code != kGetMeasurements) session_->measurements().Reset();
  if (must_verify_key_ && header.code != kKeyUpdate) return Fail(kUnexpectedRequest);
  switch (header.code) {
    case kGetMeasurements: return OnGetMeasurements(message, session_->measurements());
    case kKeyUpdate: return OnKeyUpdate(message);
    case kVendorDefinedRequest: return OnVendor(message);
    case kHeartbeat:
      if (!DecodeHeaderOnly(&message, kHeartbeat, "HEARTBEAT").ok()) return Fail(kInvalidRequest);
      if (config_.heartbeat_period_s == 0) return Fail(kUnexpectedRequest);
      return EncodeHeader({version_, kHeartbeatAck, 0, 0});
    case kEndSession:
      if (!DecodeHeaderOnly(&message, kEndSession, "END_SESSION").ok()) return Fail(kInvalidRequest);
      after_ = After::kDrop;
      drop_reason_ = "END_SESSION";
      return EncodeHeader({version_, kEndSessionAck, 0, 0});
    case kGetEncapsulatedRequest:
    case kDeliverEncapsulatedResponse:
      return peer_flags_ & kCapEncap ? Fail(kUnexpectedRequest) : Fail(kUnsupportedRequest, header.code);
    default: return Fail(kUnexpectedRequest);
  }
}

Result<Bytes> HandleDoe(Responder& responder, ByteView object, TimePoint now) {
  ASSIGN_OR_RETURN(const DoeType type, DoeTypeOf(object));
  if (type == DoeType::kDiscovery) return AnswerDiscovery(object);
  ASSIGN_OR_RETURN(const Packet request, DecodeDoe(object));
  return EncodeDoe(responder.Handle(request, now));
}

}  // namespace ccgpu::spdm
