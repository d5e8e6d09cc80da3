#include "device-plugin/plugin/preferred.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ccgpu::deviceplugin {
namespace {

using ::testing::ElementsAre;

// Two nodes: a0 a1 a2 on NUMA 0 (index 0 2 4), b0 b1 b2 on NUMA 1 (index 1 3 5).
Snapshot Machine() {
  Snapshot out;
  for (uint32_t i = 0; i < 6; ++i) {
    GpuView gpu;
    gpu.id = std::string(i % 2 == 0 ? "a" : "b") + std::to_string(i / 2);
    gpu.index = i;
    gpu.healthy = true;
    gpu.numa_node = static_cast<int32_t>(i % 2);
    out.gpus.push_back(gpu);
  }
  return out;
}

std::vector<std::string> Choose(const std::vector<std::string>& available, const std::vector<std::string>& must,
                                int size) {
  auto chosen = PreferredDevices(Machine(), available, must, size);
  return chosen.ok() ? *chosen : std::vector<std::string>{chosen.error().code};
}

TEST(Preferred, LowestIndexFirst) { EXPECT_THAT(Choose({"b2", "a1", "b0"}, {}, 1), ElementsAre("b0")); }
TEST(Preferred, OneNumaNodeWhenItHoldsAll) {
  EXPECT_THAT(Choose({"a0", "b0", "b1", "b2"}, {}, 3), ElementsAre("b0", "b1", "b2"));
}
TEST(Preferred, LowestNodeAmongThoseThatFit) {
  EXPECT_THAT(Choose({"a0", "a1", "b0", "b1"}, {}, 2), ElementsAre("a0", "a1"));
}
TEST(Preferred, FollowsWhatMustBeIn) {
  EXPECT_THAT(Choose({"a0", "a1", "b0", "b1"}, {"b1"}, 2), ElementsAre("b1", "b0"));
}
TEST(Preferred, CrossesNodesOnlyForTheRest) {
  EXPECT_THAT(Choose({"a0", "a1", "b0", "b1", "b2"}, {}, 4), ElementsAre("b0", "b1", "b2", "a0"));
}
TEST(Preferred, NoneIsAnAnswerToNone) { EXPECT_THAT(Choose({"a0"}, {}, 0), ElementsAre()); }
TEST(Preferred, RefusesContradictions) {
  EXPECT_THAT(Choose({"a0"}, {}, 2), ElementsAre("plugin.bad-request"));
  EXPECT_THAT(Choose({"a0"}, {}, -1), ElementsAre("plugin.bad-request"));
  EXPECT_THAT(Choose({"a0", "a1"}, {"a0", "a1"}, 1), ElementsAre("plugin.bad-request"));
  EXPECT_THAT(Choose({"a0"}, {"a1"}, 1), ElementsAre("plugin.bad-request"));
  EXPECT_THAT(Choose({"zz"}, {}, 1), ElementsAre("plugin.unknown-device"));
}

}  // namespace
}  // namespace ccgpu::deviceplugin
