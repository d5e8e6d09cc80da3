#include "cli/policy_commands.h"

#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "cli/seal.h"
#include "cli/sealed.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/key_release.h"

namespace ccgpu::cli {
namespace {

constexpr const char* kTrustEntry = "ccgpu-trust.yaml";

bool AcceptsEmulated(const kbs::InitData& init) {
  const auto trust = init.data.find(kTrustEntry);
  return trust != init.data.end() && trust->second.find("insecureAcceptEmulated: true") != std::string::npos;
}

// One line a fact.
std::vector<std::string> InWords(const Sealed& sealed) {
  std::vector<std::string> lines = Explain(sealed.policy);
  const auto aa = sealed.init.data.find("aa.toml");
  if (aa != sealed.init.data.end()) {
    if (auto broker = kbs::ParseAaToml(aa->second); broker.ok()) {
      lines.push_back("Its keys come from " + broker->url +
                      (broker->cert_pem.empty() ? "" : ", known by its certificate") + ".");
    }
  } else {
    lines.push_back("It knows no broker: it can get no keys.");
  }
  if (AcceptsEmulated(sealed.init)) lines.push_back("Its agent accepts EMULATED devices.");
  lines.push_back("Identity (HOST_DATA): " + sealed.digest);
  return lines;
}

std::vector<Finding> LintSealed(const Sealed& sealed) {
  std::vector<Finding> findings = Lint(sealed.policy);
  if (sealed.runtime_class != "ccgpu")
    findings.push_back(
        {"lint.runtime-class", "spec.runtimeClassName", "is not \"ccgpu\": nothing would enforce the policy"});
  if (AcceptsEmulated(sealed.init))
    findings.push_back({"lint.emulated", kTrustEntry, "the agent accepts emulated devices: for tests only"});
  return findings;
}

std::vector<Finding> LintRelease(const policy::KeyReleasePolicy& policy) {
  std::vector<Finding> findings;
  for (const std::string& environment : policy.environments) {
    if (environment == "emulated")
      findings.push_back({"lint.emulated", "spec.environment", "emulated evidence protects nothing: for tests only"});
  }
  if (policy.sandbox.any_pod)
    findings.push_back({"lint.any-pod", "spec.sandbox.anyPod", "every pod gets the resource, whatever it runs"});
  if (policy.sandbox.measurements.empty())
    findings.push_back({"lint.any-measurement", "spec.sandbox.measurements", "the sandbox's own code may be any"});
  if (policy.sandbox.allow_debug)
    findings.push_back({"lint.debug", "spec.sandbox.allowDebug", "the host can read a sandbox that it may debug"});
  return findings;
}

// One answer for one sealed pod; a list under "pods" for several.
void PrintJson(Context& context, const std::vector<Sealed>& all, const std::function<Json(const Sealed&)>& of) {
  if (all.size() == 1) {
    context.out << of(all[0]).dump(2) << "\n";
    return;
  }
  Json list = Json::array();
  for (const Sealed& one : all) {
    Json entry = of(one);
    entry["kind"] = one.kind;
    entry["name"] = one.name;
    list.push_back(std::move(entry));
  }
  context.out << Json{{"pods", list}}.dump(2) << "\n";
}

// Of several, each has its name above it.
void PrintHead(Context& context, const std::vector<Sealed>& all, const Sealed& one) {
  if (all.size() > 1) context.out << "## " << one.kind << " " << one.name << "\n";
}

}  // namespace

int DigestPolicy(Context& context, const std::string& manifest) {
  auto all = ReadSealed(manifest);
  if (!all.ok()) return Report(context, all.error(), kUsage);
  if (context.json) {
    PrintJson(context, *all, [](const Sealed& one) { return Json{{"digest", one.digest}}; });
    return kOk;
  }
  for (const Sealed& one : *all)
    context.out << one.digest << (all->size() > 1 ? "  " + one.kind + " " + one.name : "") << "\n";
  return kOk;
}

int ShowPolicy(Context& context, const std::string& manifest) {
  auto all = ReadSealed(manifest);
  if (!all.ok()) return Report(context, all.error(), kUsage);
  if (context.json) {
    PrintJson(context, *all, [](const Sealed& one) { return Json{{"digest", one.digest}, {"data", one.init.data}}; });
    return kOk;
  }
  for (const Sealed& one : *all) {
    PrintHead(context, *all, one);
    for (const auto& [name, content] : one.init.data)
      context.out << "# ---- " << name << "\n" << content << (content.ends_with('\n') ? "" : "\n");
  }
  return kOk;
}

int ExplainPolicy(Context& context, const std::string& manifest) {
  auto all = ReadSealed(manifest);
  if (!all.ok()) return Report(context, all.error(), kUsage);
  if (context.json) {
    PrintJson(context, *all, [](const Sealed& one) {
      return Json{{"digest", one.digest}, {"explanation", InWords(one)}};
    });
    return kOk;
  }
  for (const Sealed& one : *all) {
    PrintHead(context, *all, one);
    for (const std::string& line : InWords(one)) context.out << line << "\n";
  }
  return kOk;
}

int LintPolicy(Context& context, const std::string& file) {
  auto text = ReadFile(file, 4 << 20);
  if (!text.ok()) return Report(context, text.error(), kUsage);
  auto documents = ParseYaml(*text, file);
  if (!documents.ok()) return Report(context, documents.error(), kUsage);
  const std::string kind =
      documents->size() == 1 && (*documents)[0].IsMap() ? (*documents)[0]["kind"].as<std::string>("") : "";
  std::vector<Finding> findings;
  if (kind == "KeyReleasePolicy") {
    auto policy = policy::ParseKeyReleasePolicy(*text, file);
    if (!policy.ok()) return Report(context, policy.error(), kUsage);
    findings = LintRelease(*policy);
  } else if (kind == "PodPolicy") {
    auto policy = policy::ParsePodPolicy(*text, file);
    if (!policy.ok()) return Report(context, policy.error(), kUsage);
    findings = Lint(*policy);
  } else {
    auto all = ReadSealed(file);
    if (!all.ok()) return Report(context, all.error(), kUsage);
    for (const Sealed& one : *all) {
      for (Finding& finding : LintSealed(one)) {
        if (all->size() > 1) finding.subject = one.kind + " " + one.name + ": " + finding.subject;
        findings.push_back(std::move(finding));
      }
    }
  }
  if (context.json) {
    Json list = Json::array();
    for (const Finding& one : findings)
      list.push_back({{"code", one.code}, {"subject", one.subject}, {"text", one.text}});
    context.out << Json{{"findings", list}}.dump(2) << "\n";
  } else {
    for (const Finding& one : findings)
      context.out << "warning: " << one.subject << ": " << one.text << " [" << one.code << "]\n";
    if (findings.empty()) context.out << "nothing to say\n";
  }
  return kOk;
}

}  // namespace ccgpu::cli
