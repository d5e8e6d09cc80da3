#include "gpu-emulator/link/rpc.h"

#include <gtest/gtest.h>

namespace ccgpu::link {
namespace {

TEST(Rpc, AnswersCrossTheWire) {
  EXPECT_EQ(DecodeAnswer(EncodeAnswer(Bytes{1, 2})).value(), (Bytes{1, 2}));
  const auto refused = DecodeAnswer(EncodeAnswer(Err("gpu.not-ready", "GPU-1", "does not accept work")));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "gpu.not-ready");
  EXPECT_EQ(refused.error().subject, "GPU-1");
  EXPECT_EQ(DecodeAnswer({}).error().code, "link.bad-message");
  EXPECT_EQ(DecodeAnswer(Bytes{2}).error().code, "link.bad-message");
  Bytes cut = EncodeAnswer(Err("gpu.not-ready", "", ""));
  cut.pop_back();
  EXPECT_EQ(DecodeAnswer(cut).error().code, "link.bad-message");
}

TEST(Rpc, InfoAndOffersAreStrict) {
  GpuInfo info;
  info.uuid = "GPU-1";
  info.mode = Mode::kHopperCc;
  info.memory_bytes = 1ull << 36;
  info.ready = true;
  const Bytes bytes = Encode(info);
  const auto back = DecodeGpuInfo(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->uuid, "GPU-1");
  EXPECT_EQ(back->mode, Mode::kHopperCc);
  EXPECT_EQ(back->memory_bytes, 1ull << 36);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodeGpuInfo(ByteView(bytes).first(size)).ok());

  ChannelOffer offer;
  offer.channel = 31;
  offer.channel_counter = 9;
  const Bytes encoded = Encode(offer);
  EXPECT_EQ(DecodeChannelOffer(encoded)->channel_counter, 9u);
  Bytes bad = encoded;
  bad[0] = 32;
  EXPECT_FALSE(DecodeChannelOffer(bad).ok());
  bad = encoded;
  bad[4] = 3;  // an unknown protection
  EXPECT_FALSE(DecodeChannelOffer(bad).ok());
}

TEST(Mode, NamesAndNumbers) {
  for (const Mode mode : {Mode::kOff, Mode::kDevtools, Mode::kApm, Mode::kHopperCc}) {
    EXPECT_EQ(ParseMode(ModeName(mode)), mode);
    EXPECT_EQ(ModeFromWire(static_cast<uint32_t>(mode)), mode);
  }
  EXPECT_FALSE(ParseMode("on"));
  EXPECT_FALSE(ModeFromWire(4));
}

}  // namespace
}  // namespace ccgpu::link
