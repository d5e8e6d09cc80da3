// gRPC's messages inside HTTP/2's DATA frames: {u8 compressed, u32 big-endian length}, then `length` bytes
// (PROTOCOL-HTTP2, "Length-Prefixed-Message"). They begin and end anywhere in a frame.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ccgpu::rpc {

inline constexpr size_t kMaxMessage = 4u << 20;  // what every gRPC library takes unless told otherwise

// Precondition: fewer than 2^32 bytes.
std::string EncodeMessage(std::string_view message);

// Makes messages out of a byte stream, in whatever pieces it comes. Holds at most one unfinished message, and never
// more than `limit` bytes of it. Not for several threads.
class MessageParser {
 public:
  enum class Problem { kNone, kCompressed, kTooLarge };

  explicit MessageParser(size_t limit) : limit_(limit) {}
  // Appends the messages that `bytes` complete to `messages`. After a problem: do not call again.
  Problem Push(std::string_view bytes, std::vector<std::string>& messages);
  // True between two messages, where a peer may end.
  bool complete() const { return prefix_.empty(); }

 private:
  const size_t limit_;
  std::string prefix_;
  std::string message_;
  size_t length_ = 0;
};

}  // namespace ccgpu::rpc
