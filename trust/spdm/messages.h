// SPDM messages, 1.1 and 1.2 (DSP0274), as structs with their bytes, for the one algorithm suite of the H100 (SHA-384,
// P-384).
//
// Encode*: struct to exact bytes. Decode*(ByteView*): checks the code, every length and count, and that nothing but up
// to three bytes of zero padding follows; then cuts the view to the message's exact length, which is what transcripts
// need. Reserved fields are written as zero and ignored when read, as the specification wants. Whether a value makes
// sense is for Responder and Requester to say. Code of every decoding error: spdm.malformed, subject the message's
// name.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "trust/spdm/constants.h"

namespace ccgpu::spdm {

struct Header {
  uint8_t version = 0, code = 0, param1 = 0, param2 = 0;
};
// The first four bytes of any message; nothing when there are fewer.
std::optional<Header> PeekHeader(ByteView message);
// Messages that are only a header: GET_VERSION, GET_DIGESTS, HEARTBEAT, KEY_UPDATE, END_SESSION, FINISH_RSP,
// GET_ENCAPSULATED_REQUEST, their acks.
Bytes EncodeHeader(const Header& header);
Result<Header> DecodeHeaderOnly(ByteView* message, uint8_t code, std::string_view name);

struct VersionMessage {
  std::vector<uint16_t> entries;  // major<<12 | minor<<8 | update<<4 | alpha
};
Bytes Encode(const VersionMessage& message);
Result<VersionMessage> DecodeVersion(ByteView* message);

struct Capabilities {  // GET_CAPABILITIES and CAPABILITIES
  uint8_t version = 0, code = 0, param1 = 0, param2 = 0;
  uint8_t ct_exponent = 0;
  uint32_t flags = 0;
  uint32_t data_transfer_size = 0, max_message_size = 0;  // 1.2
};
Bytes Encode(const Capabilities& message);
Result<Capabilities> DecodeCapabilities(ByteView* message, uint8_t code);

struct Algorithms {  // NEGOTIATE_ALGORITHMS (bit sets offered) and ALGORITHMS (one bit each)
  uint8_t version = 0;
  bool response = false;
  uint8_t measurement_spec = 0, other_params = 0;
  uint32_t measurement_hash = 0;  // response only
  uint32_t base_asym = 0, base_hash = 0;
  // Absent: the structure is not in the message.
  std::optional<uint16_t> dhe, aead, req_base_asym, key_schedule;
};
Bytes Encode(const Algorithms& message);
Result<Algorithms> DecodeAlgorithms(ByteView* message, bool response);

struct Digests {
  uint8_t version = 0, slot_mask = 0;
  std::vector<Bytes> digests;  // one for each set slot
};
Bytes Encode(const Digests& message);
Result<Digests> DecodeDigests(ByteView* message);

struct GetCertificate {
  uint8_t version = 0, slot = 0;
  uint16_t offset = 0, length = 0;
};
Bytes Encode(const GetCertificate& message);
Result<GetCertificate> DecodeGetCertificate(ByteView* message);

struct CertificatePortion {
  uint8_t version = 0, slot = 0;
  Bytes portion;
  uint16_t remainder = 0;
};
Bytes Encode(const CertificatePortion& message);
Result<CertificatePortion> DecodeCertificate(ByteView* message);

struct GetMeasurements {
  uint8_t version = 0;
  bool want_signature = false;
  bool raw_bit_stream = false;  // 1.2
  uint8_t operation = 0;        // 0 count, 1..0xFE an index, 0xFF all
  Bytes nonce;                  // 32 bytes when a signature is wanted
  uint8_t slot = 0;
};
Bytes Encode(const GetMeasurements& message);
Result<GetMeasurements> DecodeGetMeasurements(ByteView* message);

struct Measurements {
  uint8_t version = 0;
  uint8_t param1 = 0;  // number of blocks there are, when operation was 0
  uint8_t param2 = 0;  // bits 0-3 slot, bits 4-5 content changed (1.2)
  uint8_t block_count = 0;
  Bytes record;  // see measurements.h
  Bytes nonce;   // the responder's
  Bytes opaque;
  Bytes signature;  // empty or 96 bytes
};
Bytes Encode(const Measurements& message);
Result<Measurements> DecodeMeasurements(ByteView* message, bool with_signature);

struct KeyExchange {
  uint8_t version = 0, summary_type = 0, slot = 0;
  uint16_t session_id = 0;
  uint8_t policy = 0;  // 1.2
  Bytes random;        // 32
  Bytes exchange;      // 96
  Bytes opaque;
};
Bytes Encode(const KeyExchange& message);
Result<KeyExchange> DecodeKeyExchange(ByteView* message);

struct KeyExchangeRsp {
  uint8_t version = 0, heartbeat_period = 0;
  uint16_t session_id = 0;
  uint8_t mutual_auth = 0, request_slot = 0;
  Bytes random, exchange;
  Bytes summary_hash;  // empty when the request's summary type was 0
  Bytes opaque;
  Bytes signature, verify_data;  // when encoding, either may still be empty (transcripts grow in this order)
};
Bytes Encode(const KeyExchangeRsp& message);
Result<KeyExchangeRsp> DecodeKeyExchangeRsp(ByteView* message, bool with_summary);

struct Finish {
  uint8_t version = 0;
  bool signature_included = false;  // mutual authentication
  uint8_t request_slot = 0;
  Bytes signature;    // 384 when included; when encoding it may still be empty, as may verify_data
  Bytes verify_data;  // 48
};
Bytes Encode(const Finish& message);
// A FINISH that carries a signature where none was asked for, or none where one was, does not decode.
Result<Finish> DecodeFinish(ByteView* message, bool with_signature);

// Encapsulated messages: requests of the responder, carried by responses, and the requester's answers (DSP0274
// "Encapsulated request flow"). The payload is a whole message without padding of its own.
struct EncapsulatedRequest {
  uint8_t version = 0, request_id = 0;
  Bytes request;
};
Bytes Encode(const EncapsulatedRequest& message);
Result<EncapsulatedRequest> DecodeEncapsulatedRequest(ByteView* message);

struct DeliverEncapsulatedResponse {
  uint8_t version = 0, request_id = 0;
  Bytes response;
};
Bytes Encode(const DeliverEncapsulatedResponse& message);
Result<DeliverEncapsulatedResponse> DecodeDeliverEncapsulatedResponse(ByteView* message);

struct EncapsulatedResponseAck {
  uint8_t version = 0;
  uint8_t request_id = 0;  // of the request in the payload; 0 when there is none
  AckPayload payload = AckPayload::kAbsent;
  uint8_t ack_request_id = 0;  // 1.2: the one that is acknowledged
  Bytes request;               // kRequest
  uint8_t slot = 0;            // kSlotNumber
};
Bytes Encode(const EncapsulatedResponseAck& message);
Result<EncapsulatedResponseAck> DecodeEncapsulatedResponseAck(ByteView* message);

// CHALLENGE and CHALLENGE_AUTH. An H100 has no CHAL_CAP, so neither end here ever sends them; they are read from logs
// of other devices.
struct Challenge {
  uint8_t version = 0, slot = 0, summary_type = 0;
  Bytes nonce;  // 32
};
Bytes Encode(const Challenge& message);
Result<Challenge> DecodeChallenge(ByteView* message);

struct ChallengeAuth {
  uint8_t version = 0, slot = 0, slot_mask = 0;
  Bytes chain_hash;    // 48
  Bytes nonce;         // 32, the responder's
  Bytes summary_hash;  // empty when the request's summary type was 0
  Bytes opaque;
  Bytes signature;  // 96; when encoding it may still be empty
};
Bytes Encode(const ChallengeAuth& message);
Result<ChallengeAuth> DecodeChallengeAuth(ByteView* message, bool with_summary);

struct VendorDefined {
  uint8_t version = 0;
  bool response = false;
  uint16_t standard = kStandardPciSig;
  Bytes vendor = {kPciVendorNvidia & 0xFF, kPciVendorNvidia >> 8};
  Bytes payload;
};
Bytes Encode(const VendorDefined& message);
Result<VendorDefined> DecodeVendorDefined(ByteView* message, bool response);

struct ErrorMessage {
  uint8_t version = 0;
  uint8_t code = 0;  // ErrorCode, or what the peer said
  uint8_t data = 0;
  Bytes extended;
};
Bytes Encode(const ErrorMessage& message);
Result<ErrorMessage> DecodeError(ByteView* message);
std::string_view ErrorCodeName(uint8_t code);

}  // namespace ccgpu::spdm
