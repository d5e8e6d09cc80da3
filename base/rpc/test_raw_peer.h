// A peer that says whatever bytes a test wants, frame by frame, and reads frames back: no HTTP/2 library decides what
// is possible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

struct nghttp2_hd_inflater;

namespace ccgpu::rpc {

inline constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7, kContinuation = 9;
inline constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;

struct RawFrame {
  uint8_t type = 0, flags = 0;
  uint32_t stream = 0;
  std::string payload;  // of HEADERS that came: "name=value;..."
};

// Big-endian.
std::string U32(uint32_t value);
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);
// An HPACK block of plain literals.
std::string Block(const std::vector<std::pair<std::string, std::string>>& headers);
// Headers of a gRPC request, and an answer's two blocks.
std::string RequestBlock(const std::string& path);
std::string ResponseBlock();
std::string TrailersBlock(int status);

class RawPeer {
 public:
  // Client: connects and says the preface and SETTINGS, unless told not to.
  explicit RawPeer(const std::string& socket, bool greet = true);
  // Server: takes the next connection of `listener` and greets it.
  explicit RawPeer(const Fd& listener);

  void Send(const std::string& bytes);
  // The next frame; nullopt when the peer has closed. Fails the test after ten seconds.
  std::optional<RawFrame> Next();
  // The next frame of that type, over all others.
  std::optional<RawFrame> Next(uint8_t type);
  // The next HEADERS that end a stream; empty when the peer has closed.
  std::string Trailers();
  // Reads until the peer closes.
  bool Closed();
  void Close() { fd_.Close(); }

 private:
  bool Fill(size_t size);
  std::string Inflate(const std::string& block);
  Fd fd_;
  std::shared_ptr<nghttp2_hd_inflater> inflater_;
  std::string input_;
};

}  // namespace ccgpu::rpc
