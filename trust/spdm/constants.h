// Numbers of SPDM (DSP0274 1.1 and 1.2), secured messages (DSP0277) and DOE (PCIe 6.30.1), and the profile that an H100
// speaks: the NVIDIA driver accepts these capabilities and algorithms exactly and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ccgpu::spdm {

// SPDM versions as the first byte of a message. GET_VERSION and VERSION always say 1.0.
inline constexpr uint8_t kVersion10 = 0x10;
inline constexpr uint8_t kVersion11 = 0x11;
inline constexpr uint8_t kVersion12 = 0x12;

// Request codes (DSP0274 table 4).
enum RequestCode : uint8_t {
  kGetDigests = 0x81,
  kGetCertificate = 0x82,
  kChallenge = 0x83,
  kGetVersion = 0x84,
  kGetMeasurements = 0xE0,
  kGetCapabilities = 0xE1,
  kNegotiateAlgorithms = 0xE3,
  kKeyExchange = 0xE4,
  kFinish = 0xE5,
  kPskExchange = 0xE6,
  kPskFinish = 0xE7,
  kHeartbeat = 0xE8,
  kKeyUpdate = 0xE9,
  kGetEncapsulatedRequest = 0xEA,
  kDeliverEncapsulatedResponse = 0xEB,
  kEndSession = 0xEC,
  kVendorDefinedRequest = 0xFE,
  kRespondIfReady = 0xFF,
};

// Response codes (DSP0274 table 5).
enum ResponseCode : uint8_t {
  kDigests = 0x01,
  kCertificate = 0x02,
  kChallengeAuth = 0x03,
  kVersion = 0x04,
  kMeasurements = 0x60,
  kCapabilities = 0x61,
  kAlgorithms = 0x63,
  kKeyExchangeRsp = 0x64,
  kFinishRsp = 0x65,
  kHeartbeatAck = 0x68,
  kKeyUpdateAck = 0x69,
  kEncapsulatedRequest = 0x6A,
  kEncapsulatedResponseAck = 0x6B,
  kEndSessionAck = 0x6C,
  kVendorDefinedResponse = 0x7E,
  kError = 0x7F,
};

// ERROR's Param1 (DSP0274 table "Error code and error data").
enum ErrorCode : uint8_t {
  kInvalidRequest = 0x01,
  kInvalidSession = 0x02,
  kBusy = 0x03,
  kUnexpectedRequest = 0x04,
  kUnspecified = 0x05,
  kDecryptError = 0x06,
  kUnsupportedRequest = 0x07,   // Param2: the request code
  kRequestInFlight = 0x08,      // an encapsulated request waits for its response
  kInvalidResponseCode = 0x09,  // the encapsulated response is not what was asked for
  kSessionLimitExceeded = 0x0A,
  kSessionRequired = 0x0B,   // 1.2; a 1.1 responder says UnexpectedRequest
  kResponseTooLarge = 0x0D,  // 1.2, extended data: u32 size
  kRequestTooLarge = 0x0E,   // 1.2
  kVersionMismatch = 0x41,
  kVendorError = 0xFF,
};

// Capability flags.
inline constexpr uint32_t kCapCert = 1u << 1;
inline constexpr uint32_t kCapMeasSig = 1u << 4;  // MEAS_CAP = 10b
inline constexpr uint32_t kCapMeasFresh = 1u << 5;
inline constexpr uint32_t kCapEncrypt = 1u << 6;
inline constexpr uint32_t kCapMac = 1u << 7;
inline constexpr uint32_t kCapMutAuth = 1u << 8;
inline constexpr uint32_t kCapKeyEx = 1u << 9;
inline constexpr uint32_t kCapPskMask = 3u << 10;
inline constexpr uint32_t kCapEncap = 1u << 12;
inline constexpr uint32_t kCapHeartbeat = 1u << 13;
inline constexpr uint32_t kCapKeyUpdate = 1u << 14;
inline constexpr uint32_t kCapHandshakeInClear = 1u << 15;
inline constexpr uint32_t kCapPublicKeyId = 1u << 16;
inline constexpr uint32_t kCapChunk = 1u << 17;

// The H100's profile.
inline constexpr uint32_t kH100ResponderFlags = kCapCert | kCapMeasSig | kCapMeasFresh | kCapEncrypt | kCapMac |
                                                kCapMutAuth | kCapKeyEx | kCapEncap | kCapHeartbeat | kCapKeyUpdate;
static_assert(kH100ResponderFlags == 0x73F2);
inline constexpr uint8_t kH100CtExponent = 0x1F;
// What the NVIDIA driver says of itself; one that has a certificate of its own (RequesterIdentity) adds MUT_AUTH, as
// the driver does on GH100.
inline constexpr uint32_t kRequesterFlags =
    kCapCert | kCapEncrypt | kCapMac | kCapKeyEx | kCapEncap | kCapHeartbeat | kCapKeyUpdate;

inline constexpr uint8_t kMeasurementSpecDmtf = 1;
inline constexpr uint8_t kOpaqueFormat1 = 0x02;  // OtherParams, 1.2
inline constexpr uint32_t kMeasurementHashSha384 = 4;
inline constexpr uint32_t kAsymEcdsaP384 = 0x80;
inline constexpr uint32_t kHashSha384 = 2;
inline constexpr uint16_t kDheSecp384r1 = 0x10;
inline constexpr uint16_t kAeadAes256Gcm = 2;
inline constexpr uint16_t kReqAsymRsaPss3072 = 8;
inline constexpr uint16_t kKeyScheduleSpdm = 1;

// Sizes that follow from the profile.
inline constexpr size_t kHashSize = 48;
inline constexpr size_t kSignatureSize = 96;
inline constexpr size_t kExchangeSize = 96;  // X||Y on P-384
inline constexpr size_t kNonceSize = 32;
// Largest message either end takes: the H100 driver's shared buffer. Said as DataTransferSize and MaxSPDMmsgSize
// in 1.2.
inline constexpr size_t kMaxMessageSize = 0x1200;
inline constexpr size_t kMinDataTransferSize = 42;
// RSAPSS_3072: the requester's signature in FINISH.
inline constexpr size_t kRequesterSignatureSize = 384;

// KEY_EXCHANGE_RSP's MutAuthRequested: not at all, with GET_ENCAPSULATED_REQUEST, or beginning with the requester's
// DIGESTS as if GET_DIGESTS had been asked. (1, "sign with what was provisioned", is nothing that an H100 does.)
enum class MutualAuth : uint8_t { kNone = 0, kEncapsulated = 2, kImplicitGetDigests = 4 };
// ENCAPSULATED_RESPONSE_ACK's Param2: what its payload is.
enum class AckPayload : uint8_t { kAbsent = 0, kRequest = 1, kSlotNumber = 2 };

// KEY_UPDATE's Param1.
enum class KeyUpdateOp : uint8_t { kUpdateKey = 1, kUpdateAllKeys = 2, kVerifyNewKey = 3 };

// Measurement operations (GET_MEASUREMENTS Param2) and summary types (KEY_EXCHANGE Param1).
inline constexpr uint8_t kAllMeasurements = 0xFF;
inline constexpr uint8_t kMeasurementCount = 0x00;
inline constexpr uint8_t kSummaryNone = 0x00, kSummaryTcb = 0x01, kSummaryAll = 0xFF;

// VENDOR_DEFINED messages carry the vendor id of the emulated part in PCI-SIG's registry.
inline constexpr uint16_t kStandardPciSig = 3;
inline constexpr uint16_t kPciVendorNvidia = 0x10DE;

}  // namespace ccgpu::spdm
