#include "node-manager/setup/setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "kube/names.h"
#include "kube/testing/fake_api.h"
#include "kube/testing/manual_timer.h"

namespace ccgpu::nodemanager {
namespace {

using kube::testing::FakeApi;
using std::chrono::seconds;
using ::testing::HasSubstr;

// gtest has a word of its own that looks like it.
Status Make(kube::Client& client, const SetupOptions& options) { return nodemanager::Setup(client, options); }

class SetupTest : public ::testing::Test {
 protected:
  SetupTest() {
    kube::Options options;
    options.timer = &timer_;
    client_ = kube::Client::Make(api_.access(), options).value();
    options_.identity = folder_ / "identity";
    options_.broker = folder_ / "broker";
    options_.ns = "ccgpu-system";
    options_.kbs_url = "https://ccgpu-broker.ccgpu-system.svc:8080";
    MakeFiles("1");
  }
  // What the Job's first two containers make; another `run` makes other keys.
  void MakeFiles(const std::string& run) {
    for (const char* name : {"vendor/device-root", "vendor/rim-root", "amd/ark", "intel/root", "vtpm/vtpm-root"}) {
      for (const char* ending : {".pem", ".key"}) Write(options_.identity + "/" + name + ending, name + run);
    }
    Write(options_.identity + "/roots/device-root.pem", "not for the Secret");
    for (const char* name :
         {"master.key", "tls/server.crt", "tls/server.key", "tls/ca.crt", "admin-token", "auditor-token"})
      Write(options_.broker + "/" + name, name + run);
  }
  static void Write(const std::string& path, const std::string& text) {
    (void)MakeDirs(path.substr(0, path.rfind('/')));
    (void)WriteFileAtomic(path, text);
  }
  Json Get(const std::string& kind, const std::string& name) {
    return api_.objects().Get("/api/v1/namespaces/ccgpu-system/" + kind + "/" + name).body;
  }
  std::string Secret(const std::string& name, const std::string& key) {
    const Json data = Get("secrets", name)["data"];
    return data.contains(key) ? std::string(AsText(Base64Decode(data[key].get<std::string>()).value())) : "none";
  }
  void MakeNode(const std::string& name, const Json& labels, bool ready = true) {
    const Json node = {{"apiVersion", "v1"},
                       {"kind", "Node"},
                       {"metadata", {{"name", name}, {"labels", labels}}},
                       {"status", {{"conditions", {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}}}};
    api_.objects().Create("/api/v1/nodes", node);
  }

  const TempDir folder_;
  FakeApi api_;
  kube::testing::ManualTimer timer_;
  std::unique_ptr<kube::Client> client_;
  SetupOptions options_;
};

TEST_F(SetupTest, MakesWhatPodsAndDaemonsNeedAndChangesNoKeyLater) {
  ASSERT_TRUE(Make(*client_, options_).ok());
  EXPECT_EQ(Secret("ccgpu-identity", "vendor__device-root.key"), "vendor/device-root1");
  EXPECT_EQ(Secret("ccgpu-identity", "roots__device-root.pem"), "none");
  EXPECT_EQ(Secret("ccgpu-broker", "tls.crt"), "tls/server.crt1");
  Json trust = Get("configmaps", "ccgpu-trust")["data"];
  EXPECT_EQ(trust["device-root.pem"], "vendor/device-root1");
  EXPECT_EQ(trust["kbs-cert.pem"], "tls/ca.crt1");
  EXPECT_EQ(trust["insecure-accept-emulated"], "false");
  for (const auto& [key, value] : trust.items())
    EXPECT_THAT(value.get<std::string>(), ::testing::Not(HasSubstr(".key"))) << key;

  // An upgrade: other files, other URL. The keys stay, and what is public still fits them.
  MakeFiles("2");
  options_.kbs_url = "https://elsewhere";
  options_.accept_emulated = true;
  ASSERT_TRUE(Make(*client_, options_).ok());
  EXPECT_EQ(Secret("ccgpu-identity", "vendor__device-root.key"), "vendor/device-root1");
  EXPECT_EQ(Secret("ccgpu-broker", "master.key"), "master.key1");
  trust = Get("configmaps", "ccgpu-trust")["data"];
  EXPECT_EQ(trust["device-root.pem"], "vendor/device-root1");
  EXPECT_EQ(trust["kbs-cert.pem"], "tls/ca.crt1");
  EXPECT_EQ(trust["kbs-url"], "https://elsewhere");
  EXPECT_EQ(trust["insecure-accept-emulated"], "true");
}

TEST_F(SetupTest, NodesAreEnabledOnlyWhereNobodyHasDecidedAndTheLabelGoesAgain) {
  const auto labels = [&](const std::string& node) {
    return api_.objects().Get("/api/v1/nodes/" + node).body["metadata"]["labels"];
  };
  MakeNode("a", {{"theirs", "x"}});
  MakeNode("b", {{kube::kEnabledLabel, "true"}});
  MakeNode("c", {{kube::kEnabledLabel, ""}});
  MakeNode("d", {{"theirs", "x"}});
  ASSERT_TRUE(Make(*client_, options_).ok());
  EXPECT_EQ(labels("a"), Json({{"theirs", "x"}})) << "nobody asked for it";

  options_.enable_nodes = {"a", "gone"};
  const Status unknown = Make(*client_, options_);
  EXPECT_EQ(unknown.error().code, "manager.setup-no-node");
  EXPECT_EQ(unknown.error().subject, "gone");
  EXPECT_EQ(labels("a"), Json({{"theirs", "x"}}));

  options_.enable_nodes = {"a"};
  ASSERT_TRUE(Make(*client_, options_).ok());
  EXPECT_EQ(labels("a")[kube::kEnabledLabel], "true");
  EXPECT_FALSE(labels("d").contains(kube::kEnabledLabel));
  options_.enable_nodes = {kEveryNode};
  ASSERT_TRUE(Make(*client_, options_).ok());
  EXPECT_EQ(labels("d")[kube::kEnabledLabel], "true");
  EXPECT_EQ(labels("c")[kube::kEnabledLabel], "");

  TeardownOptions options;
  options.ns = "ccgpu-system";
  ASSERT_TRUE(Teardown(*client_, options, timer_).ok());
  for (const char* node : {"a", "d"}) {
    EXPECT_EQ(labels(node), Json({{"theirs", "x"}})) << node;
    EXPECT_EQ(
        api_.objects().Get(std::string("/api/v1/nodes/") + node).body["metadata"].value("annotations", Json::object()),
        Json::object());
  }
  EXPECT_EQ(labels("b"), Json({{kube::kEnabledLabel, "true"}}));
  EXPECT_EQ(labels("c"), Json({{kube::kEnabledLabel, ""}}));
}

TEST_F(SetupTest, ARunThatWasCutShortIsContinued) {
  for (int n = 1; n < 6; n++) {
    int seen = 0;
    api_.OnRequest([&](const std::string&) {
      if (++seen == n) api_.FailNext(1, 422);
    });
    (void)Make(*client_, options_);
    api_.OnRequest(nullptr);
    api_.ForgetMisfortunes();
    ASSERT_TRUE(Make(*client_, options_).ok()) << n;
    EXPECT_EQ(Secret("ccgpu-identity", "amd__ark.key"), "amd/ark1");
  }
}

TEST_F(SetupTest, MissingFilesAndBrokenSecretsAreNamed) {
  std::filesystem::remove(options_.broker + "/admin-token");
  Status status = Make(*client_, options_);
  EXPECT_EQ(status.error().code, "manager.setup-missing-file");
  EXPECT_THAT(status.error().subject, HasSubstr("admin-token"));
  EXPECT_EQ(api_.Requests().size(), 0u);  // nothing half made
  MakeFiles("1");
  std::filesystem::remove(options_.identity + "/amd/ark.pem");
  EXPECT_EQ(Make(*client_, options_).error().code, "manager.setup-missing-file");
  MakeFiles("1");
  api_.objects().Create("/api/v1/namespaces/ccgpu-system/secrets",
                        {{"metadata", {{"name", "ccgpu-broker"}}}, {"data", {{"master.key", "eA=="}}}});
  status = Make(*client_, options_);
  EXPECT_EQ(status.error().code, "manager.setup-incomplete");
  EXPECT_EQ(Secret("ccgpu-broker", "master.key"), "x");
}

TEST_F(SetupTest, TeardownWaitsForTheInstallersAndLeavesNothing) {
  ASSERT_TRUE(Make(*client_, options_).ok());
  const std::string installer = "/apis/apps/v1/namespaces/ccgpu-system/daemonsets/ccgpu-node-installer";
  api_.objects().Create("/apis/apps/v1/namespaces/ccgpu-system/daemonsets",
                        {{"metadata", {{"name", "ccgpu-node-installer"}}}});
  MakeNode("n1", {{kube::kInstalledLabel, "1"},
                  {kube::kEnabledLabel, "true"},
                  {kube::kModelLabel, "H100"},
                  {kube::kModeStateLabel, "off"}});
  MakeNode("n2", {{kube::kCountLabel, "4"}, {"theirs", "x"}});
  api_.objects().Patch("/api/v1/nodes/n1/status", "application/strategic-merge-patch+json",
                       {{"status", {{"conditions", {{{"type", kube::kNodeCondition}, {"status", "True"}}}}}}});
  api_.objects().Patch("/api/v1/nodes/n2", "application/merge-patch+json",
                       {{"spec", {{"taints", {{{"key", kube::kSwitchTaint}, {"effect", "NoSchedule"}}}}}},
                        {"metadata", {{"annotations", {{kube::kSwitchAnnotation, "x"}}}}}});
  const auto begin = timer_.Now();
  timer_.At(begin + seconds(20), [&] {
    EXPECT_EQ(api_.objects().Get(installer).body["metadata"]["annotations"][kube::kUninstallAnnotation], "true");
    EXPECT_EQ(Get("secrets", "ccgpu-broker")["kind"], "Secret");  // still there for those who run
    api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                         {{"metadata", {{"labels", {{kube::kInstalledLabel, nullptr}}}}}});
  });
  // A node manager that was in the middle of writing.
  bool wrote = false;
  api_.OnRequest([&](const std::string& what) {
    if (what.starts_with("PATCH /api/v1/nodes/n2") && !wrote) {
      wrote = true;
      api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                           {{"metadata", {{"labels", {{kube::kTeeLabel, "snp"}}}}}});
    }
  });
  TeardownOptions options;
  options.ns = "ccgpu-system";
  ASSERT_TRUE(Teardown(*client_, options, timer_).ok());
  EXPECT_GE(timer_.Now() - begin, seconds(20));
  const Json n1 = api_.objects().Get("/api/v1/nodes/n1").body, n2 = api_.objects().Get("/api/v1/nodes/n2").body;
  EXPECT_EQ(n1["metadata"]["labels"], Json({{kube::kEnabledLabel, "true"}}));
  EXPECT_EQ(n1["status"]["conditions"].size(), 1u);
  EXPECT_EQ(n2["metadata"]["labels"], Json({{"theirs", "x"}}));
  EXPECT_TRUE(n2["spec"]["taints"].empty());
  EXPECT_FALSE(n2["metadata"].value("annotations", Json::object()).contains(kube::kSwitchAnnotation));
  for (const char* name : {"ccgpu-identity", "ccgpu-broker"}) EXPECT_EQ(Get("secrets", name)["code"], 404);
  EXPECT_EQ(Get("configmaps", "ccgpu-trust")["code"], 404);
  EXPECT_TRUE(Teardown(*client_, options, timer_).ok());  // again: nothing to do
}

TEST_F(SetupTest, TeardownNamesNodesThatDoNotComeBackAndSkipsDeadOnes) {
  api_.objects().Create("/apis/apps/v1/namespaces/ccgpu-system/daemonsets",
                        {{"metadata", {{"name", "ccgpu-node-installer"}}}});
  MakeNode("dead", {{kube::kInstalledLabel, "1"}}, false);
  MakeNode("stuck", {{kube::kInstalledLabel, "1"}});
  TeardownOptions options;
  options.ns = "ccgpu-system";
  const Status status = Teardown(*client_, options, timer_);
  EXPECT_EQ(status.error().code, "manager.teardown-timeout");
  EXPECT_EQ(status.error().subject, "stuck");
  api_.objects().Delete("/api/v1/nodes/stuck");
  EXPECT_TRUE(Teardown(*client_, options, timer_).ok());
}

}  // namespace
}  // namespace ccgpu::nodemanager
