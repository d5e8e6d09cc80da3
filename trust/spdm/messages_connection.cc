// Messages before a session: version, capabilities, algorithms, digests, certificates, measurements, errors.
#include "trust/spdm/messages_wire.h"

namespace ccgpu::spdm {
namespace {

using wire::End;
using wire::Malformed;
using wire::Start;
using wire::StartWriter;

// AlgStruct types (DSP0274 table 16).
constexpr uint8_t kTypeDhe = 2, kTypeAead = 3, kTypeReqAsym = 4, kTypeKeySchedule = 5;
constexpr size_t kMaxExternalAlgorithms = 20;
constexpr size_t kMaxAlgorithmsLength = 128;

std::optional<uint16_t>& Slot(Algorithms& message, uint8_t type) {
  switch (type) {
    case kTypeDhe: return message.dhe;
    case kTypeAead: return message.aead;
    case kTypeReqAsym: return message.req_base_asym;
    default: return message.key_schedule;
  }
}

}  // namespace

std::optional<Header> PeekHeader(ByteView message) {
  if (message.size() < 4) return std::nullopt;
  return Header{message[0], message[1], message[2], message[3]};
}

Bytes EncodeHeader(const Header& header) { return StartWriter(header).Finish(); }

Result<Header> DecodeHeaderOnly(ByteView* message, uint8_t code, std::string_view name) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, code, name));
  RETURN_IF_ERROR(End(in, message, name));
  return header;
}

Bytes Encode(const VersionMessage& message) {
  Writer out = StartWriter({kVersion10, kVersion, 0, 0});
  out.U8(0).U8(message.entries.size());
  for (uint16_t entry : message.entries) out.U16(entry);
  return std::move(out).Finish();
}

Result<VersionMessage> DecodeVersion(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kVersion, "VERSION"));
  if (header.version != kVersion10) return Malformed("VERSION", "its header must say version 1.0");
  in.Skip(1);
  VersionMessage out;
  const size_t count = in.U8();
  for (size_t i = 0; i < count; ++i) out.entries.push_back(in.U16());
  RETURN_IF_ERROR(End(in, message, "VERSION"));
  return out;
}

Bytes Encode(const Capabilities& message) {
  Writer out = StartWriter({message.version, message.code, message.param1, message.param2});
  out.U8(0).U8(message.ct_exponent).U16(0).U32(message.flags);
  if (message.version >= kVersion12) out.U32(message.data_transfer_size).U32(message.max_message_size);
  return std::move(out).Finish();
}

Result<Capabilities> DecodeCapabilities(ByteView* message, uint8_t code) {
  const std::string_view name = code == kGetCapabilities ? "GET_CAPABILITIES" : "CAPABILITIES";
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, code, name));
  Capabilities out;
  out.version = header.version;
  out.code = header.code;
  out.param1 = header.param1;
  out.param2 = header.param2;
  in.Skip(1);
  out.ct_exponent = in.U8();
  in.Skip(2);
  out.flags = in.U32();
  if (header.version >= kVersion12) {
    out.data_transfer_size = in.U32();
    out.max_message_size = in.U32();
  }
  RETURN_IF_ERROR(End(in, message, name));
  return out;
}

Bytes Encode(const Algorithms& message) {
  const std::pair<uint8_t, std::optional<uint16_t>> structures[] = {{kTypeDhe, message.dhe},
                                                                    {kTypeAead, message.aead},
                                                                    {kTypeReqAsym, message.req_base_asym},
                                                                    {kTypeKeySchedule, message.key_schedule}};
  uint8_t count = 0;
  for (const auto& [type, value] : structures) count += value.has_value();
  const uint8_t code = message.response ? uint8_t{kAlgorithms} : uint8_t{kNegotiateAlgorithms};
  Writer out = StartWriter({message.version, code, count, 0});
  out.U16((message.response ? 36 : 32) + count * 4).U8(message.measurement_spec).U8(message.other_params);
  if (message.response) out.U32(message.measurement_hash);
  // Reserved, the two counts of external algorithms and the MEL specification: 16 bytes in both forms, none used.
  out.U32(message.base_asym).U32(message.base_hash).Zeros(16);
  for (const auto& [type, value] : structures) {
    if (value) out.U8(type).U8(0x20).U16(*value);
  }
  return std::move(out).Finish();
}

Result<Algorithms> DecodeAlgorithms(ByteView* message, bool response) {
  const std::string_view name = response ? "ALGORITHMS" : "NEGOTIATE_ALGORITHMS";
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header,
                   Start(in, response ? uint8_t{kAlgorithms} : uint8_t{kNegotiateAlgorithms}, name));
  Algorithms out;
  out.version = header.version;
  out.response = response;
  const size_t length = in.U16();
  out.measurement_spec = in.U8();
  out.other_params = in.U8();
  if (response) out.measurement_hash = in.U32();
  out.base_asym = in.U32();
  out.base_hash = in.U32();
  in.Skip(12);
  size_t external = in.U8();
  external += in.U8();
  in.Skip(2);
  if (length > kMaxAlgorithmsLength) return Malformed(name, "longer than 128 bytes");
  if (response && external != 0) return Malformed(name, "selects an external algorithm, which nobody offered");
  if (external > kMaxExternalAlgorithms) return Malformed(name, "more than 20 external algorithms");
  in.Skip(external * 4);
  uint8_t last_type = 0;
  for (size_t i = 0; i < header.param1; ++i) {
    const uint8_t type = in.U8();
    const uint8_t counts = in.U8();
    const uint16_t value = in.U16();
    if (!in.ok()) break;
    if (type < kTypeDhe || type > kTypeKeySchedule)
      return Malformed(name, "unknown algorithm structure type " + std::to_string(type));
    if (type <= last_type) return Malformed(name, "algorithm structures are not in ascending order");
    if (counts >> 4 != 2) return Malformed(name, "an algorithm structure's fixed part must have 2 bytes");
    external += counts & 0xF;
    if ((response && (counts & 0xF) != 0) || external > kMaxExternalAlgorithms)
      return Malformed(name, "too many external algorithms");
    in.Skip((counts & 0xF) * 4);
    Slot(out, type) = value;
    last_type = type;
  }
  if (!in.ok() || in.offset() != length) return Malformed(name, "its Length field does not match what it holds");
  RETURN_IF_ERROR(End(in, message, name));
  return out;
}

Bytes Encode(const Digests& message) {
  Writer out = StartWriter({message.version, kDigests, 0, message.slot_mask});
  for (const Bytes& digest : message.digests) out.Raw(digest);
  return std::move(out).Finish();
}

Result<Digests> DecodeDigests(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kDigests, "DIGESTS"));
  Digests out{header.version, header.param2, {}};
  for (int slot = 0; slot < 8; ++slot) {
    if (header.param2 >> slot & 1) out.digests.push_back(ToBytes(in.Take(kHashSize)));
  }
  RETURN_IF_ERROR(End(in, message, "DIGESTS"));
  return out;
}

Bytes Encode(const GetCertificate& message) {
  Writer out = StartWriter({message.version, kGetCertificate, message.slot, 0});
  out.U16(message.offset).U16(message.length);
  return std::move(out).Finish();
}

Result<GetCertificate> DecodeGetCertificate(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kGetCertificate, "GET_CERTIFICATE"));
  GetCertificate out;
  out.version = header.version;
  out.slot = header.param1 & 0xF;
  out.offset = in.U16();
  out.length = in.U16();
  RETURN_IF_ERROR(End(in, message, "GET_CERTIFICATE"));
  return out;
}

Bytes Encode(const CertificatePortion& message) {
  Writer out = StartWriter({message.version, kCertificate, message.slot, 0});
  out.U16(message.portion.size()).U16(message.remainder).Raw(message.portion);
  return std::move(out).Finish();
}

Result<CertificatePortion> DecodeCertificate(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kCertificate, "CERTIFICATE"));
  CertificatePortion out;
  out.version = header.version;
  out.slot = header.param1 & 0xF;
  const size_t size = in.U16();
  out.remainder = in.U16();
  out.portion = ToBytes(in.Take(size));
  RETURN_IF_ERROR(End(in, message, "CERTIFICATE"));
  return out;
}

Bytes Encode(const GetMeasurements& message) {
  const uint8_t attributes = (message.want_signature ? 1 : 0) | (message.raw_bit_stream ? 2 : 0);
  Writer out = StartWriter({message.version, kGetMeasurements, attributes, message.operation});
  if (message.want_signature) out.Raw(message.nonce).U8(message.slot);
  return std::move(out).Finish();
}

Result<GetMeasurements> DecodeGetMeasurements(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kGetMeasurements, "GET_MEASUREMENTS"));
  GetMeasurements out;
  out.version = header.version;
  out.want_signature = header.param1 & 1;
  out.raw_bit_stream = header.version >= kVersion12 && (header.param1 & 2);
  out.operation = header.param2;
  if (out.want_signature) {
    out.nonce = ToBytes(in.Take(kNonceSize));
    out.slot = in.U8() & 0xF;
  }
  RETURN_IF_ERROR(End(in, message, "GET_MEASUREMENTS"));
  return out;
}

Bytes Encode(const Measurements& message) {
  Writer out = StartWriter({message.version, kMeasurements, message.param1, message.param2});
  out.U8(message.block_count).U24(message.record.size()).Raw(message.record).Raw(message.nonce);
  out.U16(message.opaque.size()).Raw(message.opaque).Raw(message.signature);
  return std::move(out).Finish();
}

Result<Measurements> DecodeMeasurements(ByteView* message, bool with_signature) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kMeasurements, "MEASUREMENTS"));
  Measurements out;
  out.version = header.version;
  out.param1 = header.param1;
  out.param2 = header.param2;
  out.block_count = in.U8();
  const size_t record_size = in.U24();
  out.record = ToBytes(in.Take(record_size));
  out.nonce = ToBytes(in.Take(kNonceSize));
  const size_t opaque_size = in.U16();
  out.opaque = ToBytes(in.Take(opaque_size));
  if (with_signature) out.signature = ToBytes(in.Take(kSignatureSize));
  RETURN_IF_ERROR(End(in, message, "MEASUREMENTS"));
  return out;
}

Bytes Encode(const ErrorMessage& message) {
  Writer out = StartWriter({message.version, kError, message.code, message.data});
  out.Raw(message.extended);
  return std::move(out).Finish();
}

Result<ErrorMessage> DecodeError(ByteView* message) {
  Reader in(*message);
  ASSIGN_OR_RETURN(const Header header, Start(in, kError, "ERROR"));
  ErrorMessage out{header.version, header.param1, header.param2, {}};
  switch (header.param1) {  // only two of the codes we may meet carry data; for the others what follows is padding
    case kResponseTooLarge: out.extended = ToBytes(in.Take(4)); break;
    case kVendorError: out.extended = ToBytes(in.Rest()); break;
    default: break;
  }
  RETURN_IF_ERROR(End(in, message, "ERROR"));
  return out;
}

std::string_view ErrorCodeName(uint8_t code) {
  switch (code) {
    case kInvalidRequest: return "InvalidRequest";
    case kInvalidSession: return "InvalidSession";
    case kBusy: return "Busy";
    case kUnexpectedRequest: return "UnexpectedRequest";
    case kUnspecified: return "Unspecified";
    case kDecryptError: return "DecryptError";
    case kUnsupportedRequest: return "UnsupportedRequest";
    case kRequestInFlight: return "RequestInFlight";
    case kInvalidResponseCode: return "InvalidResponseCode";
    case kSessionLimitExceeded: return "SessionLimitExceeded";
    case kSessionRequired: return "SessionRequired";
    case kResponseTooLarge: return "ResponseTooLarge";
    case kRequestTooLarge: return "RequestTooLarge";
    case kVersionMismatch: return "VersionMismatch";
    case kVendorError: return "vendor-defined error";
    default: return "unknown error";
  }
}

}  // namespace ccgpu::spdm
