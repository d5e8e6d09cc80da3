// The requester's half of mutual authentication (requester_authentication.h is the device's).
#include <algorithm>

#include "trust/spdm/certificate_chain.h"
#include "trust/spdm/requester.h"

namespace ccgpu::spdm {
namespace {

constexpr int kMaxRounds = 64;        // a chain of 64 KiB in portions of 1 KiB
constexpr size_t kDeliverHeader = 4;  // around each answer

}  // namespace

Bytes Requester::AnswerEncapsulated(ByteView request) const {
  const auto refuse = [&](uint8_t code, uint8_t data = 0) { return Encode(ErrorMessage{version_, code, data, {}}); };
  const std::optional<Header> header = PeekHeader(request);
  if (!header) return refuse(kInvalidRequest);
  if (header->version != version_) return refuse(kVersionMismatch);
  ByteView exact = request;
  if (header->code == kGetDigests) {
    if (!DecodeHeaderOnly(&exact, kGetDigests, "GET_DIGESTS").ok()) return refuse(kInvalidRequest);
    return Encode(Digests{version_, 0x01, {crypto::Sha384(own_chain_)}});
  }
  if (header->code == kGetCertificate) {
    const Result<GetCertificate> asked = DecodeGetCertificate(&exact);
    if (!asked.ok()) return refuse(kInvalidRequest);
    const auto portion = PortionOf(own_chain_, *asked, peer_max_size_ - kDeliverHeader);
    return portion ? Encode(*portion) : refuse(kInvalidRequest);
  }
  return refuse(kUnsupportedRequest, header->code);
}

Status Requester::Authenticate(MutualAuth how) {
  uint8_t id = 0;
  Bytes request = EncodeHeader({version_, kGetDigests, 0, 0});
  if (how == MutualAuth::kEncapsulated) {
    const Bytes ask = EncodeHeader({version_, kGetEncapsulatedRequest, 0, 0});
    ASSIGN_OR_RETURN(const Bytes answer, AskSealed(ask, kEncapsulatedRequest));
    ByteView view = answer;
    ASSIGN_OR_RETURN(EncapsulatedRequest asked, DecodeEncapsulatedRequest(&view));
    id = asked.request_id;
    request = std::move(asked.request);
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    const Bytes delivery = Encode(DeliverEncapsulatedResponse{version_, id, AnswerEncapsulated(request)});
    ASSIGN_OR_RETURN(const Bytes answer, AskSealed(delivery, kEncapsulatedResponseAck));
    ByteView view = answer;
    ASSIGN_OR_RETURN(EncapsulatedResponseAck ack, DecodeEncapsulatedResponseAck(&view));
    if (version_ >= kVersion12 && ack.ack_request_id != id)
      return Err("spdm.mutual-auth", "device", "acknowledges another encapsulated request than the one answered");
    if (ack.payload == AckPayload::kSlotNumber && ack.slot != 0)
      return Err("spdm.mutual-auth", "device",
                 "wants the certificate chain of a slot that this requester does not have");
    if (ack.payload != AckPayload::kRequest) return Ok();
    id = ack.request_id;
    request = std::move(ack.request);
  }
  return Err("spdm.mutual-auth", "device",
             "still has encapsulated requests after " + std::to_string(kMaxRounds) + " of them");
}

Finish Requester::MakeFinish(bool signed_by_us, Bytes* transcript) const {
  Finish finish;
  finish.version = version_;
  finish.signature_included = signed_by_us;
  if (signed_by_us) Append(*transcript, crypto::Sha384(own_chain_));
  Append(*transcript, Encode(finish));  // the header alone
  if (signed_by_us) {
    finish.signature = SignTranscript(config_.identity->key, version_, SigningContext::kFinish, *transcript);
    Append(*transcript, finish.signature);
  }
  return finish;
}

}  // namespace ccgpu::spdm
