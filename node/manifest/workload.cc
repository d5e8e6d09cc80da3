#include "node/manifest/workload.h"

#include <algorithm>

#include "base/yaml.h"
#include "node/manifest/fields.h"
#include "node/manifest/pod_fields.h"

namespace ccgpu::node {
namespace {

// A controller's pods are named after it. The API server cuts the base of generated names so that five characters fit
// into a DNS label with it; a StatefulSet counts its pods and cuts nothing.
constexpr size_t kMaxGeneratedBase = 58;

struct Kind {
  const char* kind;
  const char* api_version;
  std::vector<std::string> pod_at;
  bool counts = false;
};
const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kKinds = {
      {"Pod", "v1", {}},
      {"Deployment", "apps/v1", {"spec", "template"}},
      {"StatefulSet", "apps/v1", {"spec", "template"}, true},
      {"DaemonSet", "apps/v1", {"spec", "template"}},
      {"ReplicaSet", "apps/v1", {"spec", "template"}},
      {"Job", "batch/v1", {"spec", "template"}},
      {"CronJob", "batch/v1", {"spec", "jobTemplate", "spec", "template"}},
  };
  return kKinds;
}

std::string TextOf(const YAML::Node& document, const char* key) {
  return document.IsMap() && document[key].IsDefined() && document[key].IsScalar() ? document[key].Scalar() : "";
}

bool Mentions(const YAML::Node& node, const char* key, const char* value) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key && entry.second.IsScalar() &&
          entry.second.Scalar() == value)
        return true;
      if (Mentions(entry.second, key, value)) return true;
    }
  }
  if (node.IsSequence()) {
    return std::any_of(node.begin(), node.end(), [&](const YAML::Node& item) { return Mentions(item, key, value); });
  }
  return false;
}

void ReadController(YamlMap& root, const Kind& kind, Workload& out) {
  YamlMap metadata = root.Map("metadata", true);
  out.name = metadata.String("name", true);
  if (!out.name.empty() && !IsDnsSubdomain(out.name))
    metadata.Fail("input.bad-value", "name", "\"" + out.name + "\" is not a DNS name (a-z, 0-9, -, .)");
  out.pod.pod_namespace = metadata.String("namespace", false, out.pod.pod_namespace);
  if (!IsDnsLabel(out.pod.pod_namespace))
    metadata.Fail("input.bad-value", "namespace", "\"" + out.pod.pod_namespace + "\" is not a DNS label");
  out.pod.generate_name = kind.counts ? out.name + "-" : (out.name + "-").substr(0, kMaxGeneratedBase);
  YamlMap holder = root;
  for (const std::string& key : kind.pod_at) {
    YamlMap next = holder.Map(key, true);
    if (next.node().IsMap() && TextOf(next.node(), "completionMode") == "Indexed") {
      next.Fail("node.unsupported-field", "completionMode",
                "must not be Indexed: each pod of such a Job has a host name of its own, which no policy can hold");
    }
    holder = next;
  }
  if (holder.node().IsMap() && holder.Has("metadata")) {
    YamlMap template_metadata = holder.Map("metadata");
    OnlyHonoured(template_metadata, true, {"labels", "annotations", "creationTimestamp"}, {});
    ReadLabels(template_metadata, out.pod);
  }
  ReadSpec(holder, out.pod);
}

}  // namespace

Result<std::vector<Workload>> ParseWorkloads(const std::string& text, const std::string& file,
                                             const std::string& default_namespace, std::vector<Error>* all) {
  auto documents = ParseYaml(text, file);
  if (!documents.ok()) {
    if (all != nullptr) all->push_back(documents.error());
    return documents.error();
  }
  YamlErrors errors(file);
  std::vector<Workload> out;
  for (size_t i = 0; i < documents->size(); ++i) {
    const YAML::Node& document = (*documents)[i];
    if (document.IsNull()) continue;
    const std::string name = TextOf(document, "kind");
    const auto kind = std::find_if(Kinds().begin(), Kinds().end(), [&](const Kind& one) { return name == one.kind; });
    if (kind == Kinds().end()) {
      if (Mentions(document, "runtimeClassName", "ccgpu")) {
        errors.Add("node.unsupported-field", document, "kind",
                   "\"" + name +
                       "\" is no kind whose pods can be sealed: write its pods as a Deployment, StatefulSet, "
                       "DaemonSet, Job or CronJob");
      }
      continue;
    }
    YamlMap root(document, "", errors);
    root.OneOf("apiVersion", {kind->api_version}, true);
    Workload one;
    one.kind = name;
    one.document = i;
    one.pod_at = kind->pod_at;
    one.pod.kubernetes = true;
    one.pod.pod_namespace = default_namespace;
    if (kind->pod_at.empty()) {
      OnlyHonoured(root, true, {"apiVersion", "kind", "metadata", "spec"}, {"status"});
      ReadMetadata(root, one.pod);
      ReadSpec(root, one.pod);
      one.name = one.pod.name.empty() ? one.pod.generate_name : one.pod.name;
    } else {
      ReadController(root, *kind, one);
    }
    out.push_back(std::move(one));
  }
  if (errors.empty() && out.empty()) {
    errors.Add("input.no-workload", documents->empty() ? YAML::Node() : (*documents)[0], "",
               "holds no pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob");
  }
  if (all != nullptr) *all = errors.errors();
  RETURN_IF_ERROR(errors.status());
  return out;
}

}  // namespace ccgpu::node
