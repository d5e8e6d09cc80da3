#include "base/ttrpc/frame.h"

#include <algorithm>

namespace ccgpu::ttrpc {
namespace {

uint32_t Big32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void PutBig32(std::string& to, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift & 0xff));
}

}  // namespace

std::string EncodeFrame(uint32_t stream, FrameType type, uint8_t flags, std::string_view data) {
  std::string out;
  out.reserve(kHeaderSize + data.size());
  PutBig32(out, static_cast<uint32_t>(data.size()));
  PutBig32(out, stream);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  out.append(data);
  return out;
}

bool FrameParser::Next(std::string_view& input, Frame& frame) {
  if (!in_data_) {
    size_t take = std::min(kHeaderSize - header_.size(), input.size());
    header_.append(input.substr(0, take));
    input.remove_prefix(take);
    if (header_.size() < kHeaderSize) return false;
    uint32_t length = Big32(header_, 0);
    frame_ = Frame{};
    frame_.stream = Big32(header_, 4);
    frame_.type = static_cast<uint8_t>(header_[8]);
    frame_.flags = static_cast<uint8_t>(header_[9]);
    if (length > kMaxData) frame_.oversized = length;
    missing_ = length;
    header_.clear();
    in_data_ = true;
  }
  size_t take = std::min(missing_, input.size());
  // Memory follows what was really sent, not what the header announces; an oversized frame is read over.
  if (frame_.oversized == 0) frame_.data.append(input.substr(0, take));
  input.remove_prefix(take);
  missing_ -= take;
  if (missing_ > 0) return false;
  frame = std::move(frame_);
  in_data_ = false;
  return true;
}

}  // namespace ccgpu::ttrpc
