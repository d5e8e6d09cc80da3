#include "trust/evidence/gpu_report.h"

#include <algorithm>
#include <iterator>

namespace ccgpu::evidence {
namespace {

constexpr uint8_t kSpdm11 = 0x11, kGetMeasurements = 0xe0, kMeasurements = 0x60, kDmtf = 1;

Error Bad(size_t offset, std::string text) {
  return Err("gpu.report-malformed", "GPU report", "at byte " + std::to_string(offset) + ": " + std::move(text));
}

// Reads one byte that can only have one value.
Status Fixed(Reader& in, uint8_t value, const char* what) {
  const size_t at = in.offset();
  const uint8_t found = in.U8();
  if (!in.ok()) return Bad(at, "the report ends before " + std::string(what));
  if (found != value)
    return Bad(at, std::string(what) + ": expected " + std::to_string(value) + ", found " + std::to_string(found));
  return Ok();
}

// Index u8 (from 1, ascending) | spec 1 | size 51 u16 | value type 1 | value size 48 u16 | value.
Status ParseBlocks(Reader& in, size_t count, GpuReport& report) {
  int last = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = in.offset();
    const uint8_t index = in.U8();
    if (in.ok() && index <= last)
      return Bad(at, "block index " + std::to_string(index) + " follows " + std::to_string(last) +
                         ": indexes must ascend from 1");
    last = index;
    RETURN_IF_ERROR(Fixed(in, kDmtf, "measurement specification"));
    const uint16_t block = in.U16();
    RETURN_IF_ERROR(Fixed(in, 1, "measurement value type"));
    const uint16_t size = in.U16();
    if (block != kGpuMeasurementSize + 3 || size != kGpuMeasurementSize) {
      return Bad(at, "block sizes " + std::to_string(block) + "/" + std::to_string(size) + ", expected 51/48");
    }
    report.measurements[static_cast<uint8_t>(index - 1)] = ToBytes(in.Take(size));
  }
  return in.ok() ? Ok() : Bad(in.offset(), "the report ends inside the measurement blocks");
}

}  // namespace

size_t GpuReport::MeasurementOffset(uint8_t index) const {
  const auto it = measurements.find(index);
  if (it == measurements.end()) return 0;
  return kGpuReportRecordOffset + static_cast<size_t>(std::distance(measurements.begin(), it)) * kGpuBlockSize + 7;
}

Result<GpuReport> ParseGpuReport(ByteView bytes, size_t max_zero_padding) {
  GpuReport out;
  Reader in(bytes);
  RETURN_IF_ERROR(Fixed(in, kSpdm11, "request version"));
  RETURN_IF_ERROR(Fixed(in, kGetMeasurements, "request code"));
  RETURN_IF_ERROR(Fixed(in, 1, "request attributes (signature)"));
  RETURN_IF_ERROR(Fixed(in, 0xff, "request operation (all)"));
  out.nonce = ToBytes(in.Take(kGpuNonceSize));
  RETURN_IF_ERROR(Fixed(in, 0, "request slot"));
  RETURN_IF_ERROR(Fixed(in, kSpdm11, "response version"));
  RETURN_IF_ERROR(Fixed(in, kMeasurements, "response code"));
  RETURN_IF_ERROR(Fixed(in, 0, "response parameter 1"));
  RETURN_IF_ERROR(Fixed(in, 0, "response parameter 2"));
  const size_t blocks = in.U8();
  const size_t record = in.U24();
  if (!in.ok()) return Bad(in.offset(), "the report ends before its measurement record");
  if (blocks == 0 || record != blocks * kGpuBlockSize) {
    return Bad(41, std::to_string(blocks) + " blocks in a record of " + std::to_string(record) +
                       " bytes, expected 55 bytes each");
  }
  RETURN_IF_ERROR(ParseBlocks(in, blocks, out));
  out.responder_nonce = ToBytes(in.Take(kGpuNonceSize));
  const uint16_t opaque_size = in.U16();
  const ByteView opaque = in.Take(opaque_size);
  const size_t signed_size = in.offset();
  out.signature = ToBytes(in.Take(kGpuSignatureSize));
  if (!in.ok()) return Bad(in.offset(), "the report ends before its signature does");
  const ByteView padding = in.Rest();
  if (padding.size() > max_zero_padding ||
      std::any_of(padding.begin(), padding.end(), [](uint8_t b) { return b != 0; })) {
    return Bad(signed_size + kGpuSignatureSize, std::to_string(padding.size()) + " bytes after the signature");
  }
  ASSIGN_OR_RETURN(out.opaque, ParseOpaque(opaque));
  out.signed_bytes = ToBytes(bytes.first(signed_size));
  return out;
}

Bytes EncodeGpuReportBody(const GpuReport& report) {
  Writer out;
  out.U8(kSpdm11).U8(kGetMeasurements).U8(1).U8(0xff).Raw(report.nonce).U8(0);
  out.U8(kSpdm11).U8(kMeasurements).U8(0).U8(0);
  out.U8(report.measurements.size()).U24(report.measurements.size() * kGpuBlockSize);
  for (const auto& [index, value] : report.measurements) {
    out.U8(index + 1u).U8(kDmtf).U16(value.size() + 3).U8(1).U16(value.size()).Raw(value);
  }
  const Bytes opaque = EncodeOpaque(report.opaque);
  out.Raw(report.responder_nonce).U16(opaque.size()).Raw(opaque);
  return std::move(out).Finish();
}

Bytes SignGpuReport(const GpuReport& report, const crypto::PrivateKey& attestation_key) {
  Bytes out = EncodeGpuReportBody(report);
  const Bytes signature = attestation_key.SignRaw(crypto::Hash::kSha384, out);
  Append(out, signature);
  return out;
}

}  // namespace ccgpu::evidence
