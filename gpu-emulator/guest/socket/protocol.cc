#include "gpu-emulator/guest/socket/protocol.h"

#include <cstring>

namespace ccgpu::socket {
namespace {

void PutKey(Writer& out, const link::CipherKey& key) {
  out.Raw(key.key).Raw(key.iv_mask).U64(key.channel_counter);
  link::PutText(out, key.label);
}

link::CipherKey TakeKey(Reader& in) {
  link::CipherKey key;
  const ByteView secret = in.Take(key.key.size());
  if (!secret.empty()) std::memcpy(key.key.data(), secret.data(), secret.size());
  const ByteView mask = in.Take(key.iv_mask.size());
  if (!mask.empty()) std::memcpy(key.iv_mask.data(), mask.data(), mask.size());
  key.channel_counter = in.U64();
  key.label = link::TakeText(in);
  return key;
}

}  // namespace

void ChannelGrant::Wipe() {
  h2d.Wipe();
  d2h.Wipe();
}

Bytes Encode(const ChannelGrant& grant) {
  Writer out;
  out.U32(grant.channel).U32(static_cast<uint32_t>(grant.protection));
  PutKey(out, grant.h2d);
  PutKey(out, grant.d2h);
  return std::move(out).Finish();
}

Result<ChannelGrant> DecodeChannelGrant(ByteView bytes) {
  Reader in(bytes);
  ChannelGrant grant;
  grant.channel = in.U32();
  const uint32_t protection = in.U32();
  grant.h2d = TakeKey(in);
  grant.d2h = TakeKey(in);
  if (!in.AtEnd() || grant.channel >= link::kChannels ||
      protection > static_cast<uint32_t>(link::Protection::kSealed)) {
    return Err("link.bad-message", "channel grant", "is malformed");
  }
  grant.protection = static_cast<link::Protection>(protection);
  return grant;
}

}  // namespace ccgpu::socket
