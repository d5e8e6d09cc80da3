#include "node/devices/checkpoint.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace ccgpu::node {
namespace {

Checkpoint Example() {
  Checkpoint out;
  out.entries = {
      {"uid-1", "app", "ccgpu.dev/cc-gpu", {{-1, {"GPU-a"}}, {1, {"GPU-b", "GPU-c"}}}, std::string("\x00\xff", 2)}};
  out.registered = {{"ccgpu.dev/cc-gpu", {"GPU-a", "GPU-b", "GPU-c"}}, {"empty/x", {}}};
  return out;
}

TEST(CheckpointFile, RoundTrip) {
  auto read = ReadCheckpoint(WriteCheckpoint(Example()), "c");
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(*read, Example());
  EXPECT_EQ(read->entries[0].Ids().size(), 3u);
}

TEST(CheckpointFile, HasTheKubeletsShape) {
  const Json json = Json::parse(WriteCheckpoint(Example()));
  const Json& entry = json["Data"]["PodDeviceEntries"][0];
  EXPECT_EQ(entry["PodUID"], "uid-1");
  EXPECT_EQ(entry["ContainerName"], "app");
  EXPECT_EQ(entry["ResourceName"], "ccgpu.dev/cc-gpu");
  EXPECT_EQ(entry["DeviceIDs"]["1"][0], "GPU-b");
  EXPECT_EQ(entry["AllocResp"], "AP8=");
  EXPECT_EQ(json["Data"]["RegisteredDevices"]["ccgpu.dev/cc-gpu"].size(), 3u);
  EXPECT_TRUE(json["Checksum"].is_number_unsigned());
}

TEST(CheckpointFile, AnyDamageIsAnError) {
  const std::string good = WriteCheckpoint(Example());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(ReadCheckpoint(bad, "c").ok()) << "a change at " << i << " went unnoticed: " << bad;
  }
  for (const std::string& text : {std::string(), std::string("{}"), good.substr(0, good.size() / 2), std::string("[]"),
                                  std::string(R"({"Data":{},"Checksum":-1})")}) {
    auto read = ReadCheckpoint(text, "c");
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, "node.bad-checkpoint");
  }
}

}  // namespace
}  // namespace ccgpu::node
