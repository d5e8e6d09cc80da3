// The plugin's command line, what it asks kubectl for, and how it takes kubectl's answers and failures. `kubectl` is a
// script that writes down its arguments; what a real cluster answers is tested on real clusters.
#include "cli/kube/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "cli/kube/kubectl.h"
#include "node/images/archive.h"

namespace ccgpu::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Plugin : public ::testing::Test {
 protected:
  void SetUp() override {
    Answer("exit 0");
    setenv("KUBECTL", Path("kubectl").c_str(), 1);
  }
  void TearDown() override { unsetenv("KUBECTL"); }
  std::string Path(const std::string& name) { return dir_ / name; }
  void Write(const std::string& name, const std::string& text) { ASSERT_TRUE(WriteFileAtomic(Path(name), text).ok()); }
  // The script: says its arguments into the file `asked`, then does this.
  void Answer(const std::string& script) {
    Write("kubectl", "#!/bin/sh\nprintf '%s\\n' \"$*\" >> " + Path("asked") + "\n" + script + "\n");
    ::chmod(Path("kubectl").c_str(), 0755);
  }
  std::string Asked() {
    auto text = ReadFile(Path("asked"));
    return text.ok() ? *text : "";
  }
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), "kubectl-ccgpu");
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    out_.str("");
    err_.str("");
    crypto::SystemRandom random;
    return PluginMain(static_cast<int>(argv.size()), argv.data(), "9.9", out_, err_, clock_, random);
  }
  Json Out() { return Json::parse(out_.str(), nullptr, false); }

  const TempDir dir_;
  std::ostringstream out_, err_;
  ManualClock clock_{*ParseTime("2026-11-22T00:00:00Z")};
};

constexpr char kNothing[] = R"(echo '{"kind":"List","items":[]}')";

TEST_F(Plugin, HelpVersionAndUsage) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes:"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_.str(), "kubectl-ccgpu 9.9\n");
  for (const char* command : {"status", "verify", "explain", "policy", "secret", "completion"})
    EXPECT_EQ(Run({command, "--help"}), 0) << command;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"nonsense"},
                                             {"verify"},
                                             {"explain"},
                                             {"explain", "a", "b"},
                                             {"verify", "a", "--sealed", "/absent"},
                                             {"policy"},
                                             {"policy", "digest", "/absent"},
                                             {"secret", "put", "a/b/c"},
                                             {"completion", "fish"},
                                             {"status", "--what"}}) {
    EXPECT_EQ(Run(words), 2) << ::testing::PrintToString(words);
    EXPECT_EQ(out_.str(), "");
  }
  EXPECT_EQ(Asked(), "");  // nobody was asked
  EXPECT_EQ(Run({"completion", "bash"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("complete -o filenames -F _kubectl_ccgpu kubectl-ccgpu"));
}

TEST_F(Plugin, PassesKubectlsFlagsOn) {
  Answer(kNothing);
  Run({"status", "--context", "c", "--kubeconfig", "/k f", "-n", "team", "--system-namespace", "sys"});
  EXPECT_THAT(Asked(),
              HasSubstr("--kubeconfig=/k f --context=c --namespace=team get --request-timeout=20s -o json nodes\n"));
  EXPECT_THAT(Asked(), HasSubstr("--context=c get --request-timeout=20s -o json daemonsets,deployments -n sys\n"));
  EXPECT_THAT(Asked(), HasSubstr(" pods -A\n"));
}

TEST_F(Plugin, SaysWhyKubectlFailed) {
  const std::vector<std::tuple<std::string, int, std::string>> cases = {
      {"echo 'The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?' >&2; "
       "exit 1",
       4, "cli.unavailable-cluster"},
      {"echo 'Unable to connect to the server: dial tcp: i/o timeout' >&2; exit 1", 4, "cli.unavailable-cluster"},
      {"echo 'error: context \"x\" does not exist' >&2; exit 1", 4, "cli.unavailable-cluster"},
      {"echo 'Error from server (Forbidden): nodes is forbidden' >&2; exit 1", 1, "cli.forbidden"},
      {"echo 'error: You must be logged in to the server (Unauthorized)' >&2; exit 1", 1, "cli.forbidden"},
      {"exit 3", 1, "cli.kubectl-failed"},
      {"kill -9 $$", 1, "cli.kubectl-failed"},
      {"echo '[]'", 1, "cli.kubectl-failed"},
      {"echo '{\"kind\":'", 2, "input.bad-json"},
  };
  for (const auto& [script, exit_code, code] : cases) {
    Answer(script);
    EXPECT_EQ(Run({"--json", "status"}), exit_code) << script;
    EXPECT_EQ(Out()["error"]["code"], code) << out_.str();
  }
  setenv("KUBECTL", "/absent/kubectl", 1);
  EXPECT_EQ(Run({"--json", "status"}), 1);
  EXPECT_EQ(Out()["error"]["code"], "cli.no-kubectl");
}

TEST_F(Plugin, PodsThatAreNotThere) {
  Answer("echo 'Error from server (NotFound): pods \"x\" not found' >&2; exit 1");
  EXPECT_EQ(Run({"explain", "team/x"}), 2);
  EXPECT_EQ(Run({"verify", "team/x"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("[cli.not-found]"));
  for (const char* bad : {"-x", "a/b/c", "A", "a/", "/a", "a b"}) {
    EXPECT_EQ(Run({"--json", "explain", "--", bad}), 2) << bad;
    EXPECT_EQ(Out()["error"]["code"], "cli.bad-option") << bad;
  }
}

TEST_F(Plugin, VerifyAsksOnlyPodsThatRunUnderTheirOwnPolicy) {
  Answer(R"(echo '{"metadata":{"name":"x","namespace":"team"},"status":{"phase":"Pending"}}')");
  EXPECT_EQ(Run({"--json", "verify", "team/x"}), 1);
  EXPECT_EQ(Out()["error"]["code"], "cli.pod-not-running");
  Answer(R"(echo '{"metadata":{"name":"x","namespace":"team"},"status":{"phase":"Running"}}')");
  EXPECT_EQ(Run({"--json", "verify", "team/x"}), 1);
  EXPECT_EQ(Out()["error"]["code"], "cli.not-sealed");
  EXPECT_THAT(Asked(), Not(HasSubstr("port-forward")));
}

TEST_F(Plugin, GenerateTakesBrokerAndNamespaceFromTheCluster) {
  images::ImageSpec image;
  image.reference = "localhost/t/one:1";
  image.layers = {{{.path = "/bin/tool", .mode = 0755, .content = "tool", .source = {}, .target = {}}}};
  ASSERT_TRUE(images::WriteOciArchive(image, Path("image.tar")).ok());
  Write("job.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  template:\n    spec:\n      runtimeClassName: "
        "ccgpu\n"
        "      restartPolicy: Never\n      containers: [{name: a, image: localhost/t/one:1, command: [/bin/tool]}]\n");
  Answer(R"(case "$*" in
*"config view"*) echo team;;
*configmap*) printf %s '{"data":{"kbs-url":"https://b.sys.svc:8080","kbs-cert.pem":"C\n","device-root.pem":"D\n","insecure-accept-emulated":"true"}}';;
esac)");
  ASSERT_EQ(
      Run({"policy", "generate", Path("job.yaml"), "--image-archive", Path("image.tar"), "-o", Path("sealed.yaml")}), 0)
      << err_.str();
  EXPECT_THAT(err_.str(),
              HasSubstr("the pod will believe the broker and roots that ConfigMap ccgpu-system/ccgpu-trust names"));
  ASSERT_EQ(Run({"policy", "show", Path("sealed.yaml")}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("https://b.sys.svc:8080"));
  EXPECT_THAT(out_.str(), HasSubstr("generateName: \"j-\"\n  namespace: \"team\""));
  EXPECT_THAT(out_.str(), HasSubstr("insecureAcceptEmulated: true"));
  auto sealed = ReadFile(Path("sealed.yaml"));
  EXPECT_THAT(*sealed, HasSubstr("automountServiceAccountToken: false"));
  // The owner's words count more than the cluster's, and then it is not asked for them.
  Write("asked", "");
  ASSERT_EQ(Run({"-n", "mine", "policy", "generate", Path("job.yaml"), "--kbs-url", "https://mine:1", "--image-archive",
                 Path("image.tar"), "-o", Path("sealed.yaml")}),
            0);
  EXPECT_THAT(Asked(), Not(HasSubstr("configmap")));
  ASSERT_EQ(Run({"policy", "show", Path("sealed.yaml")}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("https://mine:1"));
  EXPECT_THAT(out_.str(), HasSubstr("namespace: \"mine\""));
  EXPECT_THAT(out_.str(), HasSubstr("insecureAcceptEmulated: false"));
  Answer("echo 'Error from server (NotFound): configmaps \"ccgpu-trust\" not found' >&2; exit 1");
  EXPECT_EQ(Run({"-n", "mine", "--json", "policy", "generate", Path("job.yaml"), "--image-archive", Path("image.tar")}),
            1);
  EXPECT_EQ(Out()["error"]["code"], "cli.not-installed");
}

TEST_F(Plugin, SecretsNeedAPortForward) {
  Answer(R"(case "$*" in
*configmap*) echo '{"data":{"kbs-cert.pem":"x"}}';;
*secret*) echo '{"data":{"admin-token":"dG9rZW4="}}';;
*port-forward*) echo 'error: unable to forward port because pod is not running' >&2; exit 1;;
esac)");
  EXPECT_EQ(Run({"--json", "secret", "list"}), 1);
  EXPECT_EQ(Out()["error"]["code"], "cli.kubectl-failed");
  EXPECT_THAT(Asked(), HasSubstr("port-forward --address=127.0.0.1 -n ccgpu-system service/ccgpu-broker :8080"));
  Answer(R"(case "$*" in *configmap*) echo '{"data":{"kbs-cert.pem":"x"}}';; *secret*) echo '{"data":{}}';; esac)");
  EXPECT_EQ(Run({"--json", "secret", "list"}), 1);
  EXPECT_EQ(Out()["error"]["code"], "cli.not-installed");
}

TEST(PortForward, ReadsThePort) {
  EXPECT_EQ(ForwardedPort("Forwarding from 127.0.0.1:40123 -> 8006"), 40123);
  for (const char* other : {"", "Forwarding from [::1]:40123 -> 8006", "Forwarding from 127.0.0.1: -> 8006",
                            "Forwarding from 127.0.0.1:99999 -> 1", "Forwarding from 127.0.0.1:123",
                            "Forwarding from 127.0.0.1:1234567 -> 1", "x Forwarding from 127.0.0.1:1 -> 1"})
    EXPECT_EQ(ForwardedPort(other), 0) << other;
}

TEST(PortForward, EndsItsProgram) {
  const TempDir dir;
  const std::string script = dir / "kubectl";
  ASSERT_TRUE(WriteFileAtomic(script, "#!/bin/sh\necho $$ > " + dir / "pid" +
                                          "\necho 'Forwarding from 127.0.0.1:5 -> 6'\nexec tail -f /dev/null\n")
                  .ok());
  ::chmod(script.c_str(), 0755);
  KubectlOptions options;
  options.program = script;
  {
    auto forward = PortForward::Open(Kubectl(options), {"-n", "x"}, "pod/y", 6);
    ASSERT_TRUE(forward.ok()) << forward.error().ToString();
    EXPECT_EQ(forward->local_port(), 5);
  }
  auto pid = ReadFile(dir / "pid");
  ASSERT_TRUE(pid.ok());
  EXPECT_NE(::kill(std::atoi(pid->c_str()), 0), 0);
}

}  // namespace
}  // namespace ccgpu::cli
