#include "trust/spdm/gsp_frame.h"

#include "trust/spdm/responder.h"

namespace ccgpu::spdm {
namespace {

constexpr uint32_t kMessage = 0, kSecured = 1, kApplication = 2;

Error Malformed(std::string text) { return Err("spdm.frame-malformed", "GSP frame", std::move(text)); }

}  // namespace

bool IsGspFrame(ByteView bytes) {
  Reader in(bytes);
  const uint32_t type = in.U32();
  const size_t size = in.U32();
  const uint32_t version = in.U32();
  return in.ok() && type <= kApplication && version == kGspVersion && size == in.remaining();
}

Result<Bytes> EncodeGspFrame(const Packet& packet) {
  if (packet.bytes.size() > kGspBufferSize - kGspHeaderSize) {
    return Malformed(std::to_string(packet.bytes.size()) +
                     " bytes do not fit the buffer of 0x1200 with its descriptor");
  }
  Writer out;
  out.U32(packet.secured ? kSecured : kMessage).U32(packet.bytes.size()).U32(kGspVersion).Raw(packet.bytes);
  return std::move(out).Finish();
}

Result<Packet> DecodeGspFrame(ByteView frame) {
  Reader in(frame);
  const uint32_t type = in.U32();
  const size_t size = in.U32();
  const uint32_t version = in.U32();
  if (!in.ok()) return Malformed("shorter than its 12-byte descriptor");
  if (frame.size() > kGspBufferSize) return Malformed("larger than the buffer of 0x1200 bytes");
  if (version != kGspVersion) return Malformed("its version is " + std::to_string(version) + ", not 16");
  if (size == 0 || size != in.remaining()) {
    return Malformed("its size field says " + std::to_string(size) + " bytes, " + std::to_string(in.remaining()) +
                     " follow");
  }
  if (type != kMessage && type != kSecured) {
    return Err("spdm.frame-type", "GSP frame",
               "type " + std::to_string(type) + " is neither a message (0) nor a secured record (1)");
  }
  return Packet{type == kSecured, ToBytes(in.Rest())};
}

Result<Bytes> HandleGspFrame(Responder& responder, ByteView frame, TimePoint now) {
  const Result<Packet> request = DecodeGspFrame(frame);
  if (!request.ok()) return request.error();
  return EncodeGspFrame(responder.Handle(*request, now));
}

}  // namespace ccgpu::spdm
