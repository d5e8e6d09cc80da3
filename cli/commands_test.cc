// The command line as scripts see it: exit codes, what goes to which stream, JSON.
#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "node/images/archive.h"

namespace ccgpu::cli {
namespace {

using ::testing::HasSubstr;

class Commands : public ::testing::Test {
 protected:
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"ccgpu", "--state", dir_ / "state"});
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    out_.str("");
    err_.str("");
    crypto::SystemRandom random;
    return Main(static_cast<int>(argv.size()), argv.data(), "9.9", out_, err_, clock_, random);
  }
  std::string Path(const std::string& name) { return dir_ / name; }
  void Write(const std::string& name, const std::string& text) { ASSERT_TRUE(WriteFileAtomic(Path(name), text).ok()); }
  Json Out() { return Json::parse(out_.str(), nullptr, false); }

  // A pod and an image that fits it.
  void WritePod(const std::string& command = "[/bin/tool]") {
    images::ImageSpec spec;
    spec.reference = "localhost/t/one:1";
    spec.layers = {{{.path = "/bin/tool", .mode = 0755, .content = "tool", .source = {}, .target = {}}}};
    ASSERT_TRUE(images::WriteOciArchive(spec, Path("image.tar")).ok());
    Write("pod.yaml",
          "apiVersion: v1\nkind: Pod\nmetadata:\n  name: demo\nspec:\n  runtimeClassName: ccgpu\n  restartPolicy: "
          "Never\n  containers:\n  - name: app\n"
          "    image: localhost/t/one:1\n    command: " +
              command + "\n    resources: {limits: {ccgpu.dev/cc-gpu: 1}}\n");
  }

  const TempDir dir_;
  std::ostringstream out_, err_;
  ManualClock clock_{*ParseTime("2026-11-22T00:00:00Z")};
};

TEST_F(Commands, HelpAndVersion) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes:"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_.str(), "ccgpu 9.9\n");
  for (const char* command : {"up", "down", "run", "ps", "logs", "describe", "rm", "exec", "image", "gpu", "secret",
                              "policy", "evidence", "collateral", "completion"}) {
    EXPECT_EQ(Run({command, "--help"}), 0) << command;
  }
}

TEST_F(Commands, UsageErrorsAre2) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"nonsense"},
                                             {"run"},
                                             {"run", "a", "b"},
                                             {"run", "x.yaml", "--timeout", "soon"},
                                             {"gpu"},
                                             {"gpu", "fault", "0"},
                                             {"gpu", "fault", "0", "melt"},
                                             {"gpu", "mode", "0", "fast"},
                                             {"secret", "put", "a/b/c"},
                                             {"policy", "digest", "/absent"},
                                             {"evidence", "verify", "/absent"},
                                             {"evidence", "diff", "/absent", "/absent"},
                                             {"collateral", "fetch", "-o", "/tmp/x"},
                                             {"collateral", "bundle", "/absent"},
                                             {"collateral", "check", "/absent"},
                                             {"up", "--gpus", "99"},
                                             {"completion", "fish"},
                                             {"ps", "--what"},
                                             {"rm"}}) {
    EXPECT_EQ(Run(words), 2) << ::testing::PrintToString(words);
    EXPECT_EQ(out_.str(), "");
    EXPECT_NE(err_.str(), "");
  }
  EXPECT_EQ(Run({"run", Path("absent.yaml")}), 2);
  Write("release.yaml", "kind: KeyReleasePolicy\n");
  Write("secret", "s");
  EXPECT_EQ(Run({"secret", "put", "a/b/c", Path("secret"), "--release", Path("release.yaml")}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("release.yaml:1:1: apiVersion"));
}

TEST_F(Commands, NoDeploymentIs4) {
  WritePod();
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"ps"},
                                             {"describe", "x"},
                                             {"logs", "x"},
                                             {"rm", "x"},
                                             {"exec", "x", "--", "ls", "-l"},
                                             {"exec", "x", "-c", "app", "--timeout", "5s", "--", "ls", "-c", "y"},
                                             {"exec", "-c", "app", "x", "ls"},
                                             {"image", "list"},
                                             {"gpu", "list"},
                                             {"gpu", "fault", "0", "none"},
                                             {"secret", "list"},
                                             {"secret", "decisions"},
                                             {"evidence", "collect", "x"},
                                             {"run", Path("pod.yaml")},
                                             {"policy", "generate", Path("pod.yaml")}}) {
    EXPECT_EQ(Run(words), 4) << ::testing::PrintToString(words) << err_.str();
    std::vector<std::string> json = words;
    json.insert(json.begin(), "--json");
    EXPECT_EQ(Run(json), 4);
    EXPECT_TRUE(Out().contains("error")) << out_.str();
    EXPECT_EQ(err_.str(), "");
  }
}

TEST_F(Commands, SealingOffline) {
  WritePod();
  const std::vector<std::string> generate = {
      "policy",      "generate", Path("pod.yaml"),   "--image-archive", Path("image.tar"),
      "--no-broker", "-o",       Path("sealed.yaml")};
  ASSERT_EQ(Run(generate), 0) << err_.str();
  ASSERT_EQ(Run({"policy", "digest", Path("sealed.yaml")}), 0);
  const std::string digest = out_.str();
  EXPECT_EQ(digest.size(), 72u);
  EXPECT_THAT(digest, ::testing::StartsWith("sha256:"));
  ASSERT_EQ(Run({"--json", "policy", "digest", Path("sealed.yaml")}), 0);
  EXPECT_EQ(Out()["digest"].get<std::string>() + "\n", digest);
  ASSERT_EQ(Run({"policy", "explain", Path("sealed.yaml")}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("exactly 1 GPU(s) in mode hopper-cc"));
  EXPECT_THAT(out_.str(), HasSubstr("runs `/bin/tool`"));
  EXPECT_THAT(out_.str(), HasSubstr(digest));
  ASSERT_EQ(Run({"policy", "show", Path("sealed.yaml")}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("kind: PodPolicy"));
  ASSERT_EQ(Run(generate), 0);  // the same again
  ASSERT_EQ(Run({"policy", "digest", Path("sealed.yaml")}), 0);
  EXPECT_EQ(out_.str(), digest);
  WritePod("[/bin/tool, more]");
  ASSERT_EQ(Run(generate), 0);
  ASSERT_EQ(Run({"policy", "digest", Path("sealed.yaml")}), 0);
  EXPECT_NE(out_.str(), digest);
  EXPECT_EQ(Run({"policy", "digest", Path("pod.yaml")}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("[cli.not-sealed]"));
}

TEST_F(Commands, ManifestErrorsCarryPositions) {
  WritePod();
  std::string text = *ReadFile(Path("pod.yaml"));
  Write("pod.yaml", text + "    livenessProbe: {}\n");
  EXPECT_EQ(Run({"policy", "generate", Path("pod.yaml"), "--image-archive", Path("image.tar"), "--no-broker"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("pod.yaml:13:"));
  EXPECT_THAT(err_.str(), HasSubstr("livenessProbe"));
}

TEST_F(Commands, LintFindsWhatIsWide) {
  WritePod();
  ASSERT_EQ(Run({"policy", "generate", Path("pod.yaml"), "--image-archive", Path("image.tar"), "--no-broker", "-o",
                 Path("sealed.yaml")}),
            0);
  ASSERT_EQ(Run({"--json", "policy", "lint", Path("sealed.yaml")}), 0);
  EXPECT_EQ(Out()["findings"].size(), 0u) << out_.str();
  ASSERT_EQ(Run({"policy", "generate", Path("pod.yaml"), "--image-archive", Path("image.tar"), "--no-broker", "-o",
                 Path("sealed.yaml"), "--allow-exec", "app:sh", "--allow-set-ready", "--gpu-mode", "off",
                 "--insecure-accept-emulated"}),
            0)
      << err_.str();
  ASSERT_EQ(Run({"--json", "policy", "lint", Path("sealed.yaml")}), 0);
  std::vector<std::string> codes;
  const Json findings = Out()["findings"];
  for (const Json& one : findings) codes.push_back(one["code"]);
  EXPECT_THAT(codes, ::testing::UnorderedElementsAre("lint.gpu-mode", "lint.set-ready", "lint.exec", "lint.exec-shell",
                                                     "lint.emulated"));
  Write("release.yaml",
        "apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nspec: {environment: [emulated], sandbox: {anyPod: "
        "true, allowDebug: true}}\n");
  ASSERT_EQ(Run({"--json", "policy", "lint", Path("release.yaml")}), 0);
  EXPECT_EQ(Out()["findings"].size(), 4u);
}

TEST_F(Commands, ImageDigestOfArchive) {
  WritePod();
  ASSERT_EQ(Run({"--json", "image", "digest", Path("image.tar")}), 0);
  EXPECT_EQ(Out()[0]["reference"], "localhost/t/one:1");
  Write("text", "no archive");
  EXPECT_EQ(Run({"image", "digest", Path("text")}), 2);
}

TEST_F(Commands, BadEvidenceIs2) {
  Write("ev.json", "{}");
  EXPECT_EQ(Run({"evidence", "verify", Path("ev.json")}), 2);
  EXPECT_EQ(Run({"evidence", "show", Path("ev.json")}), 2);
  Write("ev.json", "not json");
  EXPECT_EQ(Run({"--json", "evidence", "verify", Path("ev.json")}), 2);
  EXPECT_TRUE(Out().contains("error"));
}

TEST_F(Commands, CompletionIsMadeOfTheCommands) {
  ASSERT_EQ(Run({"completion", "bash"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"policy generate\")"));
  Write("c.bash", out_.str());
  const std::string script =
      "source " + Path("c.bash") +
      "; COMP_WORDS=(ccgpu --json policy gen); COMP_CWORD=3; _ccgpu; test \"${COMPREPLY[0]}\" = generate && "
      "COMP_WORDS=(ccgpu gpu fault 0 x --s); COMP_CWORD=5; _ccgpu; test \"${COMPREPLY[0]}\" = --state && "
      "COMP_WORDS=(ccgpu gpu mode 0 app hop); COMP_CWORD=5; _ccgpu; test \"${COMPREPLY[0]}\" = hopper-cc && "
      "COMP_WORDS=(ccgpu gpu fault 0 rev); COMP_CWORD=4; _ccgpu; test \"${COMPREPLY[0]}\" = revoke && "
      "COMP_WORDS=(ccgpu policy generate --gpu-mode a); COMP_CWORD=4; _ccgpu; test \"${COMPREPLY[*]}\" = apm && "
      "COMP_WORDS=(ccgpu evidence verify --exit); COMP_CWORD=3; _ccgpu; test \"${COMPREPLY[0]}\" = --exit-class";
  EXPECT_EQ(std::system(("bash -c '" + script + "'").c_str()), 0);
}

}  // namespace
}  // namespace ccgpu::cli
