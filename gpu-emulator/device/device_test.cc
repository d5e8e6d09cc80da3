#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <random>

#include "gpu-emulator/device/channel.h"
#include "gpu-emulator/device/device_state.h"
#include "gpu-emulator/device/memory.h"

namespace ccgpu::device {
namespace {

using link::DeviceState;

TEST(DeviceState, TheTable) {
  constexpr DeviceState kStates[] = {DeviceState::kUnlocked, DeviceState::kLocked, DeviceState::kRun,
                                     DeviceState::kError};
  for (const DeviceState state : kStates) {
    EXPECT_EQ(Next(state, Event::kRelease), DeviceState::kUnlocked);
    EXPECT_EQ(Next(state, Event::kReset), DeviceState::kUnlocked);
    EXPECT_EQ(Next(state, Event::kFail), DeviceState::kError);
    EXPECT_EQ(Next(state, Event::kLock).has_value(), state == DeviceState::kUnlocked);
    EXPECT_EQ(Next(state, Event::kStart).has_value(), state == DeviceState::kLocked);
  }
  EXPECT_EQ(Next(DeviceState::kRun, Event::kStop), DeviceState::kLocked);
}

TEST(DeviceMemory, AllocatesFreesAndMerges) {
  auto memory = DeviceMemory::Create(1 << 20).value();
  std::mt19937 random(1);
  std::vector<std::pair<uint64_t, uint64_t>> held;
  for (int i = 0; i < 5000; ++i) {
    if (random() % 2 == 0) {
      const uint64_t size = random() % 20000 + 1, align = 1ull << random() % 13;
      const auto at = memory->Allocate(size, align);
      if (!at.ok()) continue;
      EXPECT_EQ(*at % align, 0u);
      for (const auto& [other, length] : held) EXPECT_TRUE(*at >= other + length || *at + size <= other);
      for (uint64_t b = 0; b < size; ++b) ASSERT_EQ(memory->base()[*at + b], 0) << "not scrubbed";
      std::memset(memory->base() + *at, 0xee, size);
      held.emplace_back(*at, size);
    } else if (!held.empty()) {
      std::swap(held.back(), held[random() % held.size()]);
      memory->Free(held.back().first, held.back().second);
      held.pop_back();
    }
  }
  for (const auto& [at, size] : held) memory->Free(at, size);
  EXPECT_EQ(memory->used(), 0u);
  EXPECT_TRUE(memory->Allocate(1 << 20, 1).ok());  // all one piece again
}

TEST(DeviceMemory, ScrubLeavesZeros) {
  auto memory = DeviceMemory::Create(1 << 20).value();
  std::memset(memory->base(), 0xab, 1 << 20);
  memory->ScrubAll();
  for (uint64_t i = 0; i < 1 << 20; ++i) ASSERT_EQ(memory->base()[i], 0);
}

TEST(DeviceMemory, ReservesMoreThanTheMachineHas) {
  auto memory = DeviceMemory::Create(80ull << 30);
  ASSERT_TRUE(memory.ok());
  (*memory)->base()[79ull << 30] = 1;
  (*memory)->ScrubAll();
  EXPECT_EQ((*memory)->base()[79ull << 30], 0);
}

TEST(ContextMemory, ReachesOnlyItsOwn) {
  auto memory = DeviceMemory::Create(1 << 20).value();
  ContextMemory mine(*memory), other(*memory);
  const uint64_t a = mine.Allocate(1000, 1).value();
  const uint64_t b = other.Allocate(1000, 1).value();
  EXPECT_NE(mine.Translate(a, 1000, true), nullptr);
  EXPECT_NE(mine.Translate(a + 999, 1, true), nullptr);
  EXPECT_EQ(mine.Translate(a, 1001, true), nullptr);
  EXPECT_EQ(mine.Translate(a + 1000, 1, true), nullptr);
  EXPECT_EQ(mine.Translate(a - 1, 1, true), nullptr);
  EXPECT_EQ(mine.Translate(a + 1, ~0ull, true), nullptr);  // no wrap-around
  EXPECT_EQ(mine.Translate(b, 1, false), nullptr);
  EXPECT_EQ(mine.Translate(0, 1, false), nullptr);
  EXPECT_NE(other.Translate(b, 1000, false), nullptr);
  mine.Free(a);
  EXPECT_EQ(mine.Translate(a, 1, false), nullptr);  // not even out of a cache
}

TEST(Channel, AnErrorIsReportedBeforeTheDriverCanKnowOfIt) {
  const link::LinkMemory link = link::LinkMemory::Create("").value();
  const auto memory = DeviceMemory::Create(1 << 20).value();
  HangGate gate;
  std::promise<uint32_t> reported;
  ChannelConfig config;
  config.memory = memory.get();
  config.gate = &gate;
  config.on_error = [&](const Error&) { reported.set_value(link::Load(link.control(0)->status)); };
  const Channel channel(link, std::move(config));
  link::Store(link.control(0)->h2d.head, 1);  // a record that nobody wrote
  auto status = reported.get_future();
  ASSERT_EQ(status.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(status.get(), link::kChannelOpen);
}

}  // namespace
}  // namespace ccgpu::device
