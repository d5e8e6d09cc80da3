// ttrpc's frames: a 10-byte big-endian header {u32 length, u32 stream id, u8 type, u8 flags}, then `length` bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ccgpu::ttrpc {

inline constexpr size_t kHeaderSize = 10;
inline constexpr size_t kMaxData = 4u << 20;  // larger frames are read over and answered with RESOURCE_EXHAUSTED

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Frame {
  uint32_t stream = 0;
  uint8_t type = 0;  // a FrameType, or a number that this version does not know
  uint8_t flags = 0;
  std::string data;        // empty when oversized
  uint32_t oversized = 0;  // the announced length, when it was larger than kMaxData
};

// Precondition: data.size() <= kMaxData.
std::string EncodeFrame(uint32_t stream, FrameType type, uint8_t flags, std::string_view data);

// Makes frames out of a byte stream, in whatever pieces it comes. Holds at most one frame. Not for several threads.
class FrameParser {
 public:
  // Takes bytes off the front of `input`. True: `frame` is complete (call again: there may be more). False: input is
  // used up.
  bool Next(std::string_view& input, Frame& frame);

 private:
  std::string header_;
  Frame frame_;
  size_t missing_ = 0;  // of the frame's data
  bool in_data_ = false;
};

}  // namespace ccgpu::ttrpc
