// manifests/schemas/*.json and the parsers know the same fields: what an editor completes is accepted, what is written
// is completed.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "trust/policy/key_release.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::policy {
namespace {

Json Schema(const std::string& name) {
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/manifests/schemas/" + name);
  EXPECT_TRUE(text.ok());
  auto json = ParseJson(text.ok() ? *text : "{}", name);
  EXPECT_TRUE(json.ok()) << json.error().ToString();
  return *json;
}

// What must not be empty in the documents below.
const std::map<std::string, std::string> kValues = {
    {"name", "x"},     {"image", "x"},        {"rootfsDigest", "sha256:" + std::string(64, '0')},
    {"args", "[x]"},   {"destination", "/x"}, {"source", "imageVolume"},
    {"anyPod", "true"}};

// A document in which every field of the schema stands, empty where that is allowed: a parser must know each of them.
std::string Skeleton(const Json& schema, const Json& root, const std::string& indent) {
  std::string out;
  for (const auto& [key, value] : schema["properties"].items()) {
    const Json& type = value.contains("$ref") ? root["$defs"][value["$ref"].get<std::string>().substr(8)] : value;
    out += indent + key + ":";
    if (type.contains("const")) out += " " + type["const"].get<std::string>() + "\n";
    else if (kValues.contains(key)) out += " " + kValues.at(key) + "\n";
    else if (type.contains("properties")) out += "\n" + Skeleton(type, root, indent + "  ");
    else if (type.value("type", "") == "array" && type["items"].contains("$ref") &&
             type["items"]["$ref"] == "#/$defs/container") {
      out += "\n" + indent + "  -\n" + Skeleton(root["$defs"]["container"], root, indent + "    ");
    } else if (type.value("type", "") == "array" && type["items"].contains("properties")) {
      out += "\n" + indent + "  -\n" + Skeleton(type["items"], root, indent + "    ");
    } else {
      out += "\n";
    }
  }
  return out;
}

// Every key of the document is a property of the schema at its place.
void Covered(const YAML::Node& node, const Json& schema, const Json& root, const std::string& path) {
  const Json& type = schema.contains("$ref") ? root["$defs"][schema["$ref"].get<std::string>().substr(8)] : schema;
  if (node.IsSequence() && type.contains("items")) {
    for (const auto& item : node) Covered(item, type["items"], root, path + "[]");
  }
  if (!node.IsMap() || !type.contains("properties")) return;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    EXPECT_TRUE(type["properties"].contains(key)) << path << "." << key << " is not in the schema";
    if (type["properties"].contains(key)) Covered(entry.second, type["properties"][key], root, path + "." + key);
  }
}

TEST(Schemas, PodPolicyParserKnowsEveryField) {
  const Json schema = Schema("podpolicy.json");
  const std::string text = Skeleton(schema, schema, "");
  auto policy = ParsePodPolicy(text, "s");
  EXPECT_TRUE(policy.ok()) << policy.error().ToString() << "\n" << text;
}

TEST(Schemas, WhatIsWrittenIsInTheSchema) {
  PodPolicy policy;
  policy.pod_name = policy.hostname = "p";
  policy.host_network = policy.share_process_namespace = true;
  policy.sysctls = {{"a", "b"}};
  policy.gpus = {1, "off", true};
  ContainerPolicy app;
  app.name = app.image = "a";
  app.init = true;
  app.rootfs_digest = "sha256:" + std::string(64, '0');
  app.args = {"x"};
  app.env = {{"A", "B"}};
  app.allowed_env_patterns = {"A=*"};
  app.additional_gids = {1};
  app.capabilities = {"CAP_CHOWN"};
  app.no_new_privileges = app.readonly_rootfs = app.terminal = true;
  app.mounts = {{"/a", MountPolicy::Source::kEmptyDir, "v", "", true},
                {"/b", MountPolicy::Source::kHostPath, "", "/b", true}};
  app.gpus = 1;
  app.allowed_exec = {{"x"}};
  policy.containers = {app};
  auto documents = ParseYaml(WritePodPolicy(policy), "w");
  ASSERT_TRUE(documents.ok());
  const Json schema = Schema("podpolicy.json");
  Covered(documents->front(), schema, schema, "");
}

TEST(Schemas, KeyReleasePolicyParserKnowsEveryField) {
  const Json schema = Schema("keyreleasepolicy.json");
  const std::string text = Skeleton(schema, schema, "");
  auto policy = ParseKeyReleasePolicy(text, "s");
  EXPECT_TRUE(policy.ok()) << policy.error().ToString() << "\n" << text;
}

}  // namespace
}  // namespace ccgpu::policy
