#include "base/rpc/test_raw_peer.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/ttrpc/socket.h"

namespace ccgpu::rpc {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

std::string U32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  return U32(static_cast<uint32_t>(payload.size())).substr(1) + static_cast<char>(type) + static_cast<char>(flags) +
         U32(stream) + payload;
}

std::string Block(const std::vector<std::pair<std::string, std::string>>& headers) {
  auto text = [](const std::string& value) {
    if (value.size() < 127) return static_cast<char>(value.size()) + value;
    std::string length = "\x7f";
    size_t rest = value.size() - 127;
    for (; rest >= 128; rest /= 128) length += static_cast<char>(rest % 128 | 128);
    return length + static_cast<char>(rest) + value;
  };
  std::string out;
  for (const auto& [name, value] : headers) out += '\0' + text(name) + text(value);
  return out;
}

std::string RequestBlock(const std::string& path) {
  return Block({{":method", "POST"},
                {":scheme", "http"},
                {":path", path},
                {":authority", "x"},
                {"te", "trailers"},
                {"content-type", "application/grpc"}});
}

std::string ResponseBlock() { return Block({{":status", "200"}, {"content-type", "application/grpc"}}); }

std::string TrailersBlock(int status) { return Block({{"grpc-status", std::to_string(status)}}); }

RawPeer::RawPeer(const std::string& socket, bool greet) {
  auto fd = ttrpc::ConnectUnix(socket, std::chrono::milliseconds(5000));
  EXPECT_TRUE(fd.ok());
  if (!fd.ok()) return;
  fd_ = std::move(*fd);
  if (greet) Send(kPreface + Frame(kSettings, 0, 0, ""));
}

RawPeer::RawPeer(const Fd& listener) : fd_(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)) {
  EXPECT_TRUE(fd_.valid() && Fill(sizeof kPreface - 1));
  input_.erase(0, sizeof kPreface - 1);
  Send(Frame(kSettings, 0, 0, ""));
}

void RawPeer::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the other side may have had enough
    sent += static_cast<size_t>(count);
  }
}

bool RawPeer::Fill(size_t size) {
  while (input_.size() < size) {
    pollfd fds{fd_.get(), POLLIN, 0};
    if (::poll(&fds, 1, 10000) <= 0) {
      ADD_FAILURE() << "the peer says nothing";
      return false;
    }
    char buffer[4096];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    input_.append(buffer, static_cast<size_t>(count));
  }
  return true;
}

std::optional<RawFrame> RawPeer::Next() {
  if (!Fill(9)) return std::nullopt;
  auto number = [this](size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = at; i < at + size; ++i) value = value << 8 | static_cast<uint8_t>(input_[i]);
    return value;
  };
  const size_t size = number(0, 3);
  if (!Fill(9 + size)) return std::nullopt;
  RawFrame frame{static_cast<uint8_t>(number(3, 1)), static_cast<uint8_t>(number(4, 1)), number(5, 4),
                 input_.substr(9, size)};
  input_.erase(0, 9 + size);
  if (frame.type == kHeaders) frame.payload = Inflate(frame.payload);
  return frame;
}

std::string RawPeer::Inflate(const std::string& block) {
  if (!inflater_) {
    nghttp2_hd_inflater* inflater = nullptr;
    nghttp2_hd_inflate_new(&inflater);
    inflater_ = std::shared_ptr<nghttp2_hd_inflater>(inflater, nghttp2_hd_inflate_del);
  }
  std::string out;
  const auto* at = reinterpret_cast<const uint8_t*>(block.data());
  for (size_t left = block.size();;) {
    nghttp2_nv header;
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &header, &flags, at, left, 1);
    if (used < 0 || (flags & NGHTTP2_HD_INFLATE_FINAL)) break;
    at += used;
    left -= static_cast<size_t>(used);
    out.append(reinterpret_cast<const char*>(header.name), header.namelen).append("=");
    out.append(reinterpret_cast<const char*>(header.value), header.valuelen).append(";");
  }
  nghttp2_hd_inflate_end_headers(inflater_.get());
  return out;
}

std::optional<RawFrame> RawPeer::Next(uint8_t type) {
  for (;;) {
    auto frame = Next();
    if (!frame || frame->type == type) return frame;
  }
}

std::string RawPeer::Trailers() {
  for (;;) {
    const auto frame = Next(kHeaders);
    if (!frame || (frame->flags & kEndStream)) return frame ? frame->payload : "";
  }
}

bool RawPeer::Closed() {
  while (Next()) {}
  return !testing::Test::HasFailure();
}

}  // namespace ccgpu::rpc
