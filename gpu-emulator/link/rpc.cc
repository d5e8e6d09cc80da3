#include "gpu-emulator/link/rpc.h"

#include <algorithm>
#include <cstring>

namespace ccgpu::link {
namespace {

Error Malformed(std::string_view what) { return Err("link.bad-message", std::string(what), "is malformed"); }

template <size_t N>
void TakeArray(Reader& in, std::array<uint8_t, N>& out) {
  const ByteView bytes = in.Take(N);
  if (bytes.size() == N) std::memcpy(out.data(), bytes.data(), N);
}

}  // namespace

void PutText(Writer& out, std::string_view text) {
  text = text.substr(0, 65535);
  out.U16(text.size()).Text(text);
}

std::string TakeText(Reader& in) {
  const uint16_t size = in.U16();
  return ToText(in.Take(size));
}

Bytes EncodeAnswer(const Result<Bytes>& answer) {
  Writer out;
  if (answer.ok()) {
    out.U8(0).Raw(*answer);
  } else {
    out.U8(1);
    PutText(out, answer.error().code);
    PutText(out, answer.error().subject);
    PutText(out, answer.error().text);
  }
  return std::move(out).Finish();
}

Result<Bytes> DecodeAnswer(ByteView message) {
  Reader in(message);
  const uint8_t status = in.U8();
  if (in.ok() && status == 0) return ToBytes(in.Rest());
  std::string code = TakeText(in), subject = TakeText(in), text = TakeText(in);
  if (status != 1 || !in.AtEnd()) return Malformed("answer");
  return Error::FromWire(std::move(code), std::move(subject), std::move(text));
}

Bytes Encode(const GpuInfo& info) {
  Writer out;
  for (const std::string* text :
       {&info.uuid, &info.model, &info.architecture, &info.serial, &info.driver_version, &info.vbios_version}) {
    PutText(out, *text);
  }
  out.U32(info.index).U32(info.board_id);
  out.U32(static_cast<uint32_t>(info.compute_major))
      .U32(static_cast<uint32_t>(info.compute_minor))
      .U32(static_cast<uint32_t>(info.sm_count));
  out.U64(info.memory_bytes).U64(info.memory_used).U32(static_cast<uint32_t>(info.mode)).U8(info.ready).U8(info.lost);
  return std::move(out).Finish();
}

Result<GpuInfo> DecodeGpuInfo(ByteView bytes) {
  Reader in(bytes);
  GpuInfo info;
  for (std::string* text :
       {&info.uuid, &info.model, &info.architecture, &info.serial, &info.driver_version, &info.vbios_version}) {
    *text = TakeText(in);
  }
  info.index = in.U32();
  info.board_id = in.U32();
  info.compute_major = static_cast<int32_t>(in.U32());
  info.compute_minor = static_cast<int32_t>(in.U32());
  info.sm_count = static_cast<int32_t>(in.U32());
  info.memory_bytes = in.U64();
  info.memory_used = in.U64();
  const auto mode = ModeFromWire(in.U32());
  info.ready = in.U8() == 1;
  info.lost = in.U8() == 1;
  if (!in.AtEnd() || !mode) return Malformed("GPU information");
  info.mode = *mode;
  return info;
}

Bytes Encode(const ChannelOffer& offer) {
  Writer out;
  out.U32(offer.channel).U32(static_cast<uint32_t>(offer.protection)).U32(offer.generation).U64(offer.channel_counter);
  out.Raw(offer.h2d_mask).Raw(offer.d2h_mask);
  return std::move(out).Finish();
}

Result<ChannelOffer> DecodeChannelOffer(ByteView bytes) {
  Reader in(bytes);
  ChannelOffer offer;
  offer.channel = in.U32();
  const uint32_t protection = in.U32();
  offer.generation = in.U32();
  offer.channel_counter = in.U64();
  TakeArray(in, offer.h2d_mask);
  TakeArray(in, offer.d2h_mask);
  if (!in.AtEnd() || offer.channel >= kChannels || protection > static_cast<uint32_t>(Protection::kSealed))
    return Malformed("channel offer");
  offer.protection = static_cast<Protection>(protection);
  return offer;
}

}  // namespace ccgpu::link
