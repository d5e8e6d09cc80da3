#include "base/rpc/message.h"

#include <cstdint>
#include <utility>

namespace ccgpu::rpc {
namespace {

constexpr size_t kPrefix = 5;

}  // namespace

std::string EncodeMessage(std::string_view message) {
  const auto length = static_cast<uint32_t>(message.size());
  std::string out = {0, static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                     static_cast<char>(length >> 8), static_cast<char>(length)};
  out.append(message);
  return out;
}

MessageParser::Problem MessageParser::Push(std::string_view bytes, std::vector<std::string>& messages) {
  auto take = [&bytes](std::string& to, size_t wanted) {
    const std::string_view part = bytes.substr(0, wanted - to.size());
    to.append(part);
    bytes.remove_prefix(part.size());
    return to.size() == wanted;
  };
  while (!bytes.empty()) {
    if (prefix_.size() < kPrefix) {
      if (!take(prefix_, kPrefix)) break;
      length_ = 0;
      for (size_t i = 1; i < kPrefix; ++i) length_ = length_ << 8 | static_cast<uint8_t>(prefix_[i]);
      if (prefix_[0] != 0) return Problem::kCompressed;
      if (length_ > limit_) return Problem::kTooLarge;
    }
    if (!take(message_, length_)) break;
    messages.push_back(std::exchange(message_, {}));
    prefix_.clear();
  }
  return Problem::kNone;
}

}  // namespace ccgpu::rpc
