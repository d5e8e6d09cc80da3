#include "cli/kube/kubectl.h"

#include <algorithm>
#include <cstdlib>

namespace ccgpu::cli {
namespace {

constexpr std::chrono::milliseconds kLimit{60000};

bool Has(const std::string& text, const char* word) { return text.find(word) != std::string::npos; }

std::string FirstLine(const std::string& text) { return text.substr(0, std::min<size_t>(text.find('\n'), 600)); }

}  // namespace

Kubectl::Kubectl(KubectlOptions options) : options_(std::move(options)) {
  const char* named = std::getenv("KUBECTL");
  if (options_.program.empty()) options_.program = named && *named ? named : "kubectl";
}

std::vector<std::string> Kubectl::CommandLine(const std::vector<std::string>& words) const {
  std::vector<std::string> out{options_.program};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) out.push_back(std::string(flag) + "=" + value);
  };
  add("--kubeconfig", options_.kubeconfig);
  add("--context", options_.context);
  add("--cluster", options_.cluster);
  add("--user", options_.user);
  const bool named = std::find(words.begin(), words.end(), "-n") != words.end() ||
                     std::find(words.begin(), words.end(), "-A") != words.end();
  if (!named) add("--namespace", options_.pod_namespace);
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

Error Kubectl::ErrorOf(const std::vector<std::string>& words, const std::string& text) {
  std::string what = "kubectl";
  for (const std::string& word : words) {
    if (what.size() < 120) what += " " + word;
  }
  const std::string said = FirstLine(text);
  for (const char* away :
       {"Unable to connect to the server", "The connection to the server", "couldn't get current server API group list",
        "no configuration has been provided", "context was not found", "does not exist", "i/o timeout",
        "the server is currently unable"}) {
    if (Has(text, away) && !Has(text, "NotFound")) {
      return Err("cli.unavailable-cluster", what, said + " (is this the right --context?)");
    }
  }
  if (Has(text, "(NotFound)")) return Err("cli.not-found", what, said);
  if (Has(text, "(Forbidden)") || Has(text, "(Unauthorized)") || Has(text, "You must be logged in"))
    return Err("cli.forbidden", what, said);
  return Err("cli.kubectl-failed", what, said.empty() ? "it ended without a word" : said);
}

Result<Child> Kubectl::Start(const std::vector<std::string>& words) const { return Child::Start(CommandLine(words)); }

Result<std::string> Kubectl::Run(const std::vector<std::string>& words) const {
  ASSIGN_OR_RETURN(Child child, Start(words));
  ASSIGN_OR_RETURN(Child::Finished finished, child.Wait(kLimit));
  if (finished.status != 0) return ErrorOf(words, finished.err);
  return std::move(finished.out);
}

Result<Json> Kubectl::Get(std::vector<std::string> words) const {
  words.insert(words.begin(), {"get", "--request-timeout=20s", "-o", "json"});
  ASSIGN_OR_RETURN(const std::string text, Run(words));
  ASSIGN_OR_RETURN(Json json, ParseJson(text, "kubectl get"));
  if (!json.is_object()) return Err("cli.kubectl-failed", "kubectl get", "answered with no object");
  return json;
}

Result<std::string> Kubectl::Namespace() const {
  if (!options_.pod_namespace.empty()) return options_.pod_namespace;
  ASSIGN_OR_RETURN(std::string text, Run({"config", "view", "--minify", "-o", "jsonpath={..namespace}"}));
  text = FirstLine(text);
  return text.empty() ? "default" : text;
}

int ForwardedPort(const std::string& line) {
  constexpr std::string_view kHead = "Forwarding from 127.0.0.1:";
  if (!line.starts_with(kHead)) return 0;
  const std::string rest = line.substr(kHead.size());
  const size_t digits = rest.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string::npos || digits > 5 || rest.substr(digits, 4) != " -> ") return 0;
  const int port = std::atoi(rest.c_str());
  return port > 65535 ? 0 : port;
}

Result<PortForward> PortForward::Open(const Kubectl& kubectl, const std::vector<std::string>& flags,
                                      const std::string& target, int port) {
  std::vector<std::string> words{"port-forward", "--address=127.0.0.1"};
  words.insert(words.end(), flags.begin(), flags.end());
  words.push_back(target);
  words.push_back(":" + std::to_string(port));
  ASSIGN_OR_RETURN(Child child, kubectl.Start(words));
  auto line = child.Line(std::chrono::seconds(30));
  if (!line.ok()) {
    ASSIGN_OR_RETURN(const Child::Finished finished, child.Wait(std::chrono::seconds(1)));
    return Kubectl::ErrorOf(words, finished.err);
  }
  const int local = ForwardedPort(*line);
  if (local == 0)
    return Err("cli.kubectl-failed", "kubectl port-forward",
               "does not say which port it listens on: " + FirstLine(*line));
  return PortForward(std::move(child), local);
}

}  // namespace ccgpu::cli
