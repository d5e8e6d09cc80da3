// Messages that open a session, and those that travel in one.
#include "trust/spdm/messages_wire.h"

namespace ccgpu::spdm {
namespace {

using wire::End;
using wire::Malformed;
using wire::Start;
using wire::StartWriter;

}  // namespace

Bytes Encode(const KeyExchange& message) {
  Writer out = StartWriter({message.version, kKeyExchange, message.summary_type, message.slot});
  out.U16(message.session_id).U8(message.policy).U8(0).Raw(message.random).Raw(message.exchange);
  out.U16(message.opaque.size()).Raw(message.opaque);
  return std::move(out).Finish();
}

Result<KeyExchange> DecodeKeyExchange(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kKeyExchange, "KEY_EXCHANGE"));
  KeyExchange out;
  out.version = header.version;
  out.summary_type = header.param1;
  out.slot = header.param2;
  out.session_id = in.U16();
  out.policy = in.U8();
  in.Skip(1);
  out.random = ToBytes(in.Take(kNonceSize));
  out.exchange = ToBytes(in.Take(kExchangeSize));
  const size_t opaque_size = in.U16();
  out.opaque = ToBytes(in.Take(opaque_size));
  RETURN_IF_ERROR(End(in, message, "KEY_EXCHANGE"));
  return out;
}

Bytes Encode(const KeyExchangeRsp& message) {
  Writer out = StartWriter({message.version, kKeyExchangeRsp, message.heartbeat_period, 0});
  out.U16(message.session_id).U8(message.mutual_auth).U8(message.request_slot).Raw(message.random);
  out.Raw(message.exchange).Raw(message.summary_hash).U16(message.opaque.size()).Raw(message.opaque);
  out.Raw(message.signature).Raw(message.verify_data);
  return std::move(out).Finish();
}

Result<KeyExchangeRsp> DecodeKeyExchangeRsp(ByteView* message, bool with_summary) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kKeyExchangeRsp, "KEY_EXCHANGE_RSP"));
  KeyExchangeRsp out;
  out.version = header.version;
  out.heartbeat_period = header.param1;
  out.session_id = in.U16();
  out.mutual_auth = in.U8();
  out.request_slot = in.U8();
  out.random = ToBytes(in.Take(kNonceSize));
  out.exchange = ToBytes(in.Take(kExchangeSize));
  if (with_summary) out.summary_hash = ToBytes(in.Take(kHashSize));
  const size_t opaque_size = in.U16();
  out.opaque = ToBytes(in.Take(opaque_size));
  out.signature = ToBytes(in.Take(kSignatureSize));
  out.verify_data = ToBytes(in.Take(kHashSize));
  RETURN_IF_ERROR(End(in, message, "KEY_EXCHANGE_RSP"));
  return out;
}

Bytes Encode(const Finish& message) {
  Writer out = StartWriter({message.version, kFinish, message.signature_included, message.request_slot});
  out.Raw(message.signature).Raw(message.verify_data);
  return std::move(out).Finish();
}

Result<Finish> DecodeFinish(ByteView* message, bool with_signature) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kFinish, "FINISH"));
  Finish out;
  out.version = header.version;
  out.signature_included = header.param1 & 1;
  out.request_slot = header.param2;
  if (out.signature_included != with_signature) {
    return Malformed("FINISH", with_signature ? "carries no signature although mutual authentication was asked for"
                                              : "carries a signature although no mutual authentication was asked for");
  }
  if (with_signature) out.signature = ToBytes(in.Take(kRequesterSignatureSize));
  out.verify_data = ToBytes(in.Take(kHashSize));
  RETURN_IF_ERROR(End(in, message, "FINISH"));
  return out;
}

Bytes Encode(const VendorDefined& message) {
  const uint8_t code = message.response ? uint8_t{kVendorDefinedResponse} : uint8_t{kVendorDefinedRequest};
  Writer out = StartWriter({message.version, code, 0, 0});
  out.U16(message.standard).U8(message.vendor.size()).Raw(message.vendor);
  out.U16(message.payload.size()).Raw(message.payload);
  return std::move(out).Finish();
}

Result<VendorDefined> DecodeVendorDefined(ByteView* message, bool response) {
  const std::string_view name = response ? "VENDOR_DEFINED_RESPONSE" : "VENDOR_DEFINED_REQUEST";
  Reader in(*message);
  const uint8_t code = response ? uint8_t{kVendorDefinedResponse} : uint8_t{kVendorDefinedRequest};
  ASSIGN_OR_RETURN(const Header header, Start(in, code, name));
  VendorDefined out;
  out.version = header.version;
  out.response = response;
  out.standard = in.U16();
  const size_t vendor_size = in.U8();
  out.vendor = ToBytes(in.Take(vendor_size));
  const size_t payload_size = in.U16();
  out.payload = ToBytes(in.Take(payload_size));
  RETURN_IF_ERROR(End(in, message, name));
  return out;
}

}  // namespace ccgpu::spdm
