// Texts in, texts out: what is added to configurations of many kinds, and that taking it out is exact.
#include "node-installer/containerd_config.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "node-installer/record.h"
#include "node-installer/runtime.h"
#include "node-installer/test_machine.h"

namespace ccgpu::installer {
namespace {

constexpr char kFile[] = "/etc/containerd/config.toml";

FileText TextOf(const std::optional<std::string>& config) { return config ? FileText(*config) : FileText(); }

std::string CodeOf(const std::string& text, int major) {
  const auto plan = PlanInstall(text, kFile, major, {});
  return plan.ok() ? "" : plan.error().code;
}

TEST(ContainerdConfigTest, TheHandlerStandsUnderTheNameOfItsVersion) {
  for (const auto& [version, major, plugin] :
       std::vector<std::tuple<int, int, std::string>>{{2, 1, "io.containerd.grpc.v1.cri"},
                                                      {2, 2, "io.containerd.grpc.v1.cri"},
                                                      {3, 2, "io.containerd.cri.v1.runtime"},
                                                      {4, 2, "io.containerd.cri.v1.runtime"}}) {
    const auto plan = PlanInstall("version = " + std::to_string(version) + "\n", kFile, major, {});
    ASSERT_TRUE(plan.ok()) << plan.error().ToString();
    ASSERT_TRUE(plan->config.exists);
    EXPECT_NE(plan->config.text.find("[plugins.\"" + plugin + "\".containerd.runtimes.ccgpu]"), std::string::npos);
    EXPECT_NE(plan->config.text.find("pod_annotations = [\"ccgpu.dev/*\", "
                                     "\"io.katacontainers.config.hypervisor.cc_init_data\"]"),
              std::string::npos);
    EXPECT_TRUE(Inspect(plan->config.text, kFile)->has_handler);
  }
}

TEST(ContainerdConfigTest, TakingOutIsExact) {
  for (const auto& [name, version, config] : test::Configs()) {
    SCOPED_TRACE(name);
    const auto plan = PlanInstall(TextOf(config), kFile, MajorOf(version), {});
    ASSERT_TRUE(plan.ok()) << plan.error().ToString();
    if (!plan->config.exists) {
      EXPECT_FALSE(plan->drop_in.empty());
      continue;
    }
    const auto split = Split(plan->config.text, kFile);
    ASSERT_TRUE(split.ok());
    EXPECT_EQ(split->without, config.value_or(""));
    EXPECT_EQ(split->made_file, !config);
    // Planned again, nothing changes; with another shim configuration only the block does.
    EXPECT_FALSE(PlanInstall(plan->config, kFile, MajorOf(version), {})->config.exists);
    const auto other = PlanInstall(plan->config, kFile, MajorOf(version), {"/elsewhere.yaml"});
    ASSERT_TRUE(other->config.exists);
    EXPECT_EQ(Split(other->config.text, kFile)->without, config.value_or(""));
    EXPECT_NE(other->config.text.find("/elsewhere.yaml"), std::string::npos);
  }
}

TEST(ContainerdConfigTest, DropInsOnlyWhereContainerdMergesThem) {
  const std::string imports = "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n";
  EXPECT_EQ(PlanInstall(imports, kFile, 1, {})->drop_in, "") << "1.x replaces whole plugin sections";
  const auto plan = PlanInstall(imports, kFile, 2, {});
  EXPECT_EQ(plan->drop_in, "/etc/containerd/conf.d/ccgpu.toml");
  EXPECT_FALSE(plan->config.exists);
  EXPECT_TRUE(IsOurDropIn(plan->drop_in_text));
  EXPECT_TRUE(Inspect(plan->drop_in_text, kFile)->has_handler);
  EXPECT_EQ(Inspect(plan->drop_in_text, kFile)->version, 2) << "the version of the file that imports it";
  // An upgrade from 1.x to 2.x moves the block out.
  const auto block = PlanInstall(imports, kFile, 1, {})->config;
  const auto moved = PlanInstall(block, kFile, 2, {});
  EXPECT_EQ(moved->config.text, imports);
  EXPECT_FALSE(moved->drop_in.empty());

  EXPECT_EQ(DropInPath({"conf.d/*.toml"}, kFile), "/etc/containerd/conf.d/ccgpu.toml");
  EXPECT_EQ(DropInPath({"/a/nvidia.toml", "/b/*.toml"}, kFile), "/b/ccgpu.toml");
  for (const char* none : {"/etc/containerd/*.toml", "/a/*/x.toml", "/a/*.conf", "/a/one.toml"})
    EXPECT_EQ(DropInPath({none}, kFile), "") << none;
}

TEST(ContainerdConfigTest, Refusals) {
  const std::string cri = "plugins.\"io.containerd.grpc.v1.cri\"";
  EXPECT_EQ(CodeOf("version = 2\n[[[", 1), "installer.config-broken");
  EXPECT_EQ(CodeOf("version = 2\nversion = 2\n", 1), "installer.config-broken");
  EXPECT_EQ(CodeOf(std::string("version = 2\n\0", 13), 1), "installer.config-broken");
  EXPECT_EQ(CodeOf("version = 1\n", 1), "installer.config-version");
  EXPECT_EQ(CodeOf("root = \"/x\"\n", 2), "installer.config-version");
  EXPECT_EQ(CodeOf("version = \"2\"\n", 2), "installer.config-version");
  EXPECT_EQ(CodeOf("version = 3\n", 1), "installer.config-version");
  EXPECT_EQ(CodeOf("version = 5\n", 2), "installer.config-version");
  for (const char* plugin : {"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "cri"}) {
    EXPECT_EQ(CodeOf("version = 3\n[plugins.'" + std::string(plugin) + "'.containerd.runtimes.ccgpu]\n", 2),
              "installer.foreign-handler");
  }
  EXPECT_EQ(CodeOf("version = 2\n[" + cri + "]\ncontainerd = { runtimes = { runc = { runtime_type = \"x\" } } }\n", 1),
            "installer.config-conflict");
  // Marks that do not fit together.
  const std::string good = PlanInstall(std::string("version = 2\n"), kFile, 1, {})->config.text;
  EXPECT_EQ(CodeOf(good.substr(0, good.rfind("# <<<")), 1), "installer.config-broken");
  EXPECT_EQ(CodeOf(good + good.substr(good.find("# >>>")), 1), "installer.config-broken");
  EXPECT_EQ(CodeOf("# <<< ccgpu\n# >>> ccgpu\n", 1), "installer.config-broken");
}

TEST(RuntimeTest, Versions) {
  EXPECT_EQ(MajorOf("1.6.20~ds1"), 1);
  EXPECT_EQ(MajorOf("v2.4.2"), 2);
  EXPECT_EQ(MajorOf("2.0.0-rc.1"), 2);
  for (const char* none : {"", "v", "2", "two.1", ".1", "-1.2", "99999.1"}) EXPECT_EQ(MajorOf(none), 0) << none;
}

TEST(RuntimeTest, HandlersInTheStatus) {
  EXPECT_TRUE(StatusNamesHandler(R"({"containerd":{"runtimes":{"runc":{},"ccgpu":{"runtimeType":"x"}}}})"));
  for (const char* none : {"", "[]", "{}", R"({"containerd":[]})", R"({"containerd":{"runtimes":{"runc":{}}}})"})
    EXPECT_FALSE(StatusNamesHandler(none)) << none;
}

TEST(RecordTest, WhatIsWrittenIsReadAndNothingElse) {
  Record record;
  record.version = "1.2.3";
  record.files = {{"/opt/x", "aa"}};
  record.folders = {"/opt"};
  record.config = kFile;
  record.config_digest = kAbsent;
  record.drop_in = "/etc/containerd/conf.d/ccgpu.toml";
  record.restart_due = true;
  const std::string text = WriteRecord(record);
  EXPECT_EQ(ReadRecord(text, "r").value(), record);
  const Json good = ParseJson(text, "r").value();
  const auto code = [](const Json& json) {
    const auto read = ReadRecord(json.dump(), "r");
    return read.ok() ? std::string() : read.error().code;
  };
  for (const auto& [key, value] : good.items()) {
    Json without = good, wrong = good;
    without.erase(key);
    wrong[key] = Json::array({1});
    EXPECT_EQ(code(without), "installer.record-broken") << key;
    EXPECT_EQ(code(wrong), "installer.record-broken") << key;
  }
  Json more = good, newer = good, relative = good;
  more["more"] = 1;
  newer["format"] = 2;
  relative["files"] = {{"opt/x", "aa"}};
  for (const Json& bad : {more, newer, relative}) EXPECT_EQ(code(bad), "installer.record-broken");
}

}  // namespace
}  // namespace ccgpu::installer
