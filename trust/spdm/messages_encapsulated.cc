// Encapsulated messages, which turn the roles round for mutual authentication. Their payload has no length of its own:
// it is the rest of the message. That they travel only in secured records, whose inner length is exact, makes this
// sound.
#include "trust/spdm/messages_wire.h"

namespace ccgpu::spdm {
namespace {

using wire::End;
using wire::Malformed;
using wire::Start;
using wire::StartWriter;

constexpr size_t kHeaderSize = 4;

// The rest of the message, which must begin with a header of its own.
Result<Bytes> Payload(Reader& in, std::string_view name) {
  const ByteView payload = in.Rest();
  if (payload.size() < kHeaderSize) return Malformed(name, "its payload is shorter than a message's 4-byte header");
  return ToBytes(payload);
}

}  // namespace

Bytes Encode(const EncapsulatedRequest& message) {
  Writer out = StartWriter({message.version, kEncapsulatedRequest, message.request_id, 0});
  out.Raw(message.request);
  return std::move(out).Finish();
}

Result<EncapsulatedRequest> DecodeEncapsulatedRequest(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kEncapsulatedRequest, "ENCAPSULATED_REQUEST"));
  ASSIGN_OR_RETURN(Bytes request, Payload(in, "ENCAPSULATED_REQUEST"));
  return EncapsulatedRequest{header.version, header.param1, std::move(request)};
}

Bytes Encode(const DeliverEncapsulatedResponse& message) {
  Writer out = StartWriter({message.version, kDeliverEncapsulatedResponse, message.request_id, 0});
  out.Raw(message.response);
  return std::move(out).Finish();
}

Result<DeliverEncapsulatedResponse> DecodeDeliverEncapsulatedResponse(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kDeliverEncapsulatedResponse, "DELIVER_ENCAPSULATED_RESPONSE"));
  ASSIGN_OR_RETURN(Bytes response, Payload(in, "DELIVER_ENCAPSULATED_RESPONSE"));
  return DeliverEncapsulatedResponse{header.version, header.param1, std::move(response)};
}

Bytes Encode(const EncapsulatedResponseAck& message) {
  Writer out = StartWriter(
      {message.version, kEncapsulatedResponseAck, message.request_id, static_cast<uint8_t>(message.payload)});
  if (message.version >= kVersion12) out.U8(message.ack_request_id).Zeros(3);
  switch (message.payload) {
    case AckPayload::kAbsent: break;
    case AckPayload::kRequest: out.Raw(message.request); break;
    case AckPayload::kSlotNumber: out.U8(message.slot); break;
  }
  return std::move(out).Finish();
}

Result<EncapsulatedResponseAck> DecodeEncapsulatedResponseAck(ByteView* message) {
  constexpr std::string_view kName = "ENCAPSULATED_RESPONSE_ACK";
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kEncapsulatedResponseAck, kName));
  EncapsulatedResponseAck out;
  out.version = header.version;
  out.request_id = header.param1;
  if (header.version >= kVersion12) {
    out.ack_request_id = in.U8();
    in.Skip(3);
  }
  switch (header.param2) {
    case static_cast<uint8_t>(AckPayload::kAbsent): break;
    case static_cast<uint8_t>(AckPayload::kRequest): {
      out.payload = AckPayload::kRequest;
      if (!in.ok()) break;
      ASSIGN_OR_RETURN(out.request, Payload(in, kName));
      return out;
    }
    case static_cast<uint8_t>(AckPayload::kSlotNumber):
      out.payload = AckPayload::kSlotNumber;
      out.slot = in.U8();
      break;
    default: return Malformed(kName, "its payload type " + std::to_string(header.param2) + " is not known");
  }
  RETURN_IF_ERROR(End(in, message, kName));
  return out;
}

}  // namespace ccgpu::spdm
