#include "cli/kube/cluster.h"

#include <cstdlib>

namespace ccgpu::cli {
namespace {

const Json kNothing;
const Json kEmptyList = Json::array();

const Json& At(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  return object.is_structured() && object.contains(at) ? object[at] : kNothing;
}

const std::string& Word(const Json& object, const char* key) {
  static const std::string kNone;
  return object.is_object() && object.contains(key) && object[key].is_string()
             ? object[key].get_ref<const std::string&>()
             : kNone;
}

}  // namespace

std::string TextAt(const Json& object, const char* pointer) {
  const Json& found = At(object, pointer);
  if (found.is_string()) return found.get<std::string>();
  return found.is_number() || found.is_boolean() ? found.dump() : "";
}

const Json& ListAt(const Json& object, const char* pointer) {
  const Json& found = At(object, pointer);
  return found.is_array() ? found : kEmptyList;
}

std::string LabelOf(const Json& object, const std::string& name) {
  return Word(At(object, "/metadata/labels"), name.c_str());
}

std::string AnnotationOf(const Json& object, const std::string& name) {
  return Word(At(object, "/metadata/annotations"), name.c_str());
}

const Json& ConditionOf(const Json& object, const std::string& type) {
  for (const Json& one : ListAt(object, "/status/conditions")) {
    if (Word(one, "type") == type) return one;
  }
  return kNothing;
}

int64_t AllocatableGpusOf(const Json& node) {
  return std::atoll(Word(At(node, "/status/allocatable"), kGpuResource).c_str());
}

int64_t GpusOf(const Json& pod) {
  int64_t together = 0, most = 0;
  const auto of = [](const Json& container) {
    return std::atoll(Word(At(container, "/resources/limits"), kGpuResource).c_str());
  };
  for (const Json& one : ListAt(pod, "/spec/initContainers")) most = std::max<int64_t>(most, of(one));
  for (const Json& one : ListAt(pod, "/spec/containers")) together += of(one);
  return std::max(together, most);
}

Result<TrustMap> ReadTrustMap(const Cluster& cluster) {
  auto map = cluster.kubectl.Get({"configmap", "ccgpu-trust", "-n", cluster.system_namespace});
  if (!map.ok()) {
    if (map.error().code != "cli.not-found") return map.error();
    return Err("cli.not-installed", "namespace " + cluster.system_namespace,
               "has no ConfigMap ccgpu-trust: is ccgpu installed there? Name its namespace with --system-namespace, or "
               "give broker and roots by options");
  }
  const Json& data = At(*map, "/data");
  TrustMap out;
  out.choices.kbs_url = Word(data, "kbs-url");
  out.choices.kbs_cert_pem = Word(data, "kbs-cert.pem");
  out.choices.insecure_accept_emulated = Word(data, "insecure-accept-emulated") == "true";
  if (!Word(data, "device-root.pem").empty()) out.choices.device_roots_pem = {Word(data, "device-root.pem")};
  if (!Word(data, "rim-root.pem").empty()) out.choices.rim_roots_pem = {Word(data, "rim-root.pem")};
  for (const char* key : {"device-root.pem", "rim-root.pem", "amd-root.pem", "intel-root.pem", "tpm-root.pem"}) {
    if (!Word(data, key).empty()) out.roots_pem.push_back(Word(data, key));
  }
  return out;
}

Result<PodReference> FindPod(const Cluster& cluster, const std::string& text) {
  const std::string name = text.starts_with("pod/")    ? text.substr(4)
                           : text.starts_with("pods/") ? text.substr(5)
                                                       : text;
  const size_t slash = name.find('/');
  const bool named = slash != std::string::npos;
  PodReference out{named ? name.substr(slash + 1) : name, named ? name.substr(0, slash) : ""};
  const auto good = [](const std::string& word) {
    return !word.empty() && word[0] != '-' &&
           word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos;
  };
  if (!good(out.name) || (named && !good(out.pod_namespace)))
    return Err("cli.bad-option", text, "must be a pod's name, or NAMESPACE/NAME");
  if (!named) {
    ASSIGN_OR_RETURN(out.pod_namespace, cluster.kubectl.Namespace());
    if (!good(out.pod_namespace)) return Err("cli.bad-option", out.pod_namespace, "must be a namespace's name");
  }
  return out;
}

Result<Json> GetPod(const Cluster& cluster, const PodReference& pod) {
  return cluster.kubectl.Get({"pod", pod.name, "-n", pod.pod_namespace});
}

}  // namespace ccgpu::cli
