// The attestation report of an NVIDIA H100 (and H200, GB100, LS10 in the same frame): the SPDM 1.1 GET_MEASUREMENTS
// request, then the MEASUREMENTS response (DSP0274 10.11; docs/formats/gpu-report.md).
//
//   request 37 bytes | response header, blocks of 55 bytes, responder nonce, opaque length, opaque | signature 96 bytes
//
// The signature is ECDSA P-384 with SHA-384 over everything before it, as received.
#pragma once

#include <map>

#include "base/bytes.h"
#include "base/crypto/key.h"
#include "trust/evidence/opaque.h"

namespace ccgpu::evidence {

inline constexpr size_t kGpuNonceSize = 32;
inline constexpr size_t kGpuRequestSize = 37;
inline constexpr size_t kGpuMeasurementSize = 48;
inline constexpr size_t kGpuBlockSize = 55;
inline constexpr size_t kGpuSignatureSize = 96;
inline constexpr size_t kGpuMeasurementCount = 64;
inline constexpr size_t kGpuReportNonceOffset = 4;
inline constexpr size_t kGpuReportRecordOffset = 45;

struct GpuReport {
  Bytes nonce;                            // the relying party's, from the request: the one to compare
  std::map<uint8_t, Bytes> measurements;  // by MSR index, counted from 0 (block index - 1); 48 bytes each
  Bytes responder_nonce;                  // the device's own
  OpaqueData opaque;
  Bytes signature;     // r||s
  Bytes signed_bytes;  // the exact received bytes before the signature

  size_t MeasurementOffset(uint8_t index) const;  // of its 48 bytes in the report; 0 when there is no such block
  size_t OpaqueOffset() const { return kGpuReportRecordOffset + measurements.size() * kGpuBlockSize + 34; }
  size_t SignatureOffset() const { return signed_bytes.size(); }
};

// Errors: gpu.report-malformed, with the offset in the text. `max_zero_padding`: so many zero bytes after the signature
// are accepted (some collectors write one); anything else after it is an error.
Result<GpuReport> ParseGpuReport(ByteView bytes, size_t max_zero_padding = 0);
// request || response without signature, of nonce, measurements, responder_nonce and opaque.
Bytes EncodeGpuReportBody(const GpuReport& report);
// The whole report, signed by the attestation key (P-384).
Bytes SignGpuReport(const GpuReport& report, const crypto::PrivateKey& attestation_key);

}  // namespace ccgpu::evidence
