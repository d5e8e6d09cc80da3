#include "gpu-emulator/profiles/profile.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "gpu-emulator/profiles/builtin.h"

namespace ccgpu::emulator {
namespace {

TEST(Profile, BuiltinOnesParse) {
  ASSERT_EQ(BuiltinProfileNames(), (std::vector<std::string>{"a100-nc", "a100-ncc-v4", "h100-ncc-v5"}));
  for (const auto& name : BuiltinProfileNames()) {
    auto profile = LoadProfile(name);
    ASSERT_TRUE(profile.ok()) << profile.error().ToString();
    EXPECT_EQ(profile->name, name);
  }
  auto h100 = LoadProfile("h100-ncc-v5").value();
  EXPECT_EQ(h100.board_id, 0x03b1u);
  EXPECT_EQ(h100.compute_major, 9);
  EXPECT_EQ(h100.memory_bytes, 94ull << 30);
  EXPECT_TRUE(h100.attestation);
  EXPECT_TRUE(h100.Supports("devtools"));
  EXPECT_FALSE(h100.Supports("apm"));
  EXPECT_EQ(h100.NumaNode(3), 1);
  EXPECT_EQ(LoadProfile("a100-nc").value().modes, std::vector<std::string>{"off"});
}

TEST(Profile, UnknownNameListsTheNames) {
  auto missing = LoadProfile("h200");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, "profile.unknown");
  EXPECT_NE(missing.error().text.find("a100-ncc-v4"), std::string::npos);
}

// Each replacement makes one field wrong; the error names the line.
TEST(Profile, RefusesWrongFields) {
  std::string good;
  for (const auto& [name, text] : BuiltinProfiles()) {
    if (name == "h100-ncc-v5") good = text;
  }
  ASSERT_TRUE(ParseProfile(good, "p.yaml").ok());
  const std::pair<std::string, std::string> kCases[] = {
      {"(EMULATED)", "80GB"},
      {"HOPPER  ", "TURING  "},
      {"computeCapability: \"9.0\"", "computeCapability: \"nine\""},
      {"smCount: 132", "smCount: 0"},
      {"memoryGiB: 94", "memoryGiB: 9999"},
      {"numaNodes: [0, 1]", "numaNodes: []"},
      {"[off, devtools, hopper-cc]", "[off, warp]"},
      {"defaultMode: hopper-cc", "defaultMode: apm"},
      {"96.00.9F.00.01", "96.00.9F"},
      {"id: 0x03b1", "id: 0xZZ"},
      {"project: \"1010\"", "project: \"10/10\""},
      {"attestation: true", "attestation: perhaps"},
      {"index: 4", "index: 64"},
      {"smCount:", "smCounts:"},
      {"kind: GpuProfile", "kind: Gpu"},
  };
  for (const auto& [from, to] : kCases) {
    std::string bad = good;
    auto at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, from.size(), to);
    auto parsed = ParseProfile(bad, "p.yaml");
    ASSERT_FALSE(parsed.ok()) << to;
    EXPECT_TRUE(parsed.error().subject.starts_with("p.yaml:")) << parsed.error().ToString();
  }
}

TEST(Profile, OnlyAProtectingModeCanBeAttested) {
  EXPECT_EQ(LoadProfile("h100-ncc-v5")->AttestedMode(), "hopper-cc");
  EXPECT_EQ(LoadProfile("a100-ncc-v4")->AttestedMode(), "apm");
  EXPECT_EQ(LoadProfile("a100-nc")->AttestedMode(), "");
  for (const auto& [name, text] : BuiltinProfiles()) {
    if (name != "a100-nc") continue;
    std::string attested = text;
    attested.replace(attested.find("attestation: false"), 18, "attestation: true ");
    auto parsed = ParseProfile(attested, "p.yaml");
    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(parsed.error().ToString().find("nothing to attest"), std::string::npos) << parsed.error().ToString();
  }
}

}  // namespace
}  // namespace ccgpu::emulator
