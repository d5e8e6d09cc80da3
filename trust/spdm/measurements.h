// Measurement blocks: what GET_MEASUREMENTS returns, in DMTF's format (DSP0274 "Measurement block").
//
//   index u8 | specification u8 = 1 (DMTF) | size u16 | value type u8 (bit 7: raw) | value size u16 | value
#pragma once

#include "base/bytes.h"

namespace ccgpu::spdm {

struct MeasurementBlock {
  uint8_t index = 0;  // 1..0xFE, each at most once
  uint8_t type = 0;   // DMTF value type; bit 7: raw bit stream instead of a digest
  Bytes value;
};

// What a device measures. Called on the thread that calls Responder::Handle, anew for each GET_MEASUREMENTS and, for a
// requester that wants a summary hash, at KEY_EXCHANGE.
class MeasurementSource {
 public:
  virtual ~MeasurementSource() = default;
  virtual std::vector<MeasurementBlock> Blocks() = 0;  // ascending by index
  virtual Bytes OpaqueData() = 0;
};

Bytes EncodeRecord(const std::vector<MeasurementBlock>& blocks);
// `count` is the message's number of blocks. Indices must be 1..0xFE and ascend. Code: spdm.malformed.
Result<std::vector<MeasurementBlock>> DecodeRecord(ByteView record, size_t count);

// MeasurementSummaryHash for kSummaryTcb (immutable and mutable firmware: types 0 and 1) or kSummaryAll.
Bytes SummaryHash(const std::vector<MeasurementBlock>& blocks, uint8_t summary_type);

}  // namespace ccgpu::spdm
