#include "trust/spdm/measurements.h"

#include "base/crypto/digest.h"
#include "trust/spdm/constants.h"

namespace ccgpu::spdm {
namespace {

Error Malformed(std::string text) { return Err("spdm.malformed", "measurement record", std::move(text)); }

bool IsTcb(const MeasurementBlock& block) { return (block.type & 0x7F) <= 1; }

}  // namespace

Bytes EncodeRecord(const std::vector<MeasurementBlock>& blocks) {
  Writer out;
  for (const MeasurementBlock& block : blocks) {
    out.U8(block.index).U8(kMeasurementSpecDmtf).U16(3 + block.value.size());
    out.U8(block.type).U16(block.value.size()).Raw(block.value);
  }
  return std::move(out).Finish();
}

Result<std::vector<MeasurementBlock>> DecodeRecord(ByteView record, size_t count) {
  Reader in(record);
  std::vector<MeasurementBlock> blocks;
  uint8_t last_index = 0;
  for (size_t i = 0; i < count; ++i) {
    MeasurementBlock block;
    block.index = in.U8();
    const uint8_t specification = in.U8();
    const size_t size = in.U16();
    block.type = in.U8();
    const size_t value_size = in.U16();
    block.value = ToBytes(in.Take(value_size));
    if (!in.ok()) return Malformed("ends inside block " + std::to_string(i + 1) + " of " + std::to_string(count));
    if (specification != kMeasurementSpecDmtf)
      return Malformed("block " + std::to_string(i + 1) + " is not in DMTF's format");
    if (size != value_size + 3) return Malformed("block " + std::to_string(i + 1) + "'s two sizes do not fit together");
    if (block.index <= last_index || block.index == kAllMeasurements) {
      return Malformed("block index " + std::to_string(block.index) + " is out of order or not in 1..254");
    }
    last_index = block.index;
    blocks.push_back(std::move(block));
  }
  if (!in.AtEnd()) return Malformed("bytes follow its last block");
  return blocks;
}

Bytes SummaryHash(const std::vector<MeasurementBlock>& blocks, uint8_t summary_type) {
  std::vector<MeasurementBlock> chosen;
  for (const MeasurementBlock& block : blocks) {
    if (summary_type == kSummaryAll || IsTcb(block)) chosen.push_back(block);
  }
  return crypto::Sha384(EncodeRecord(chosen));
}

}  // namespace ccgpu::spdm
