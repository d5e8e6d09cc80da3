#include "cli/sealed.h"

#include "base/file.h"
#include "cli/seal.h"
#include "node/manifest/workload.h"

namespace ccgpu::cli {

Result<Sealed> OpenSealed(const std::string& annotation) {
  Sealed out;
  ASSIGN_OR_RETURN(out.initdata, kbs::DecodeInitDataAnnotation(annotation));
  ASSIGN_OR_RETURN(out.init, kbs::ParseInitData(out.initdata));
  const std::string entry(policy::kPodPolicyEntry);
  const auto policy = out.init.data.find(entry);
  if (policy == out.init.data.end())
    return Err("cli.not-sealed", std::string(kbs::kInitDataAnnotation), "its initdata holds no " + entry);
  ASSIGN_OR_RETURN(out.policy, policy::ParsePodPolicy(policy->second, entry));
  out.digest = DigestOf(out.initdata);
  return out;
}

Result<std::vector<Sealed>> ReadSealed(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 4 << 20));
  ASSIGN_OR_RETURN(const std::vector<node::Workload> workloads, node::ParseWorkloads(text, file, "default"));
  std::vector<Sealed> out;
  for (const node::Workload& workload : workloads) {
    const auto annotation = workload.pod.annotations.find(std::string(kbs::kInitDataAnnotation));
    if (annotation == workload.pod.annotations.end()) continue;
    auto one = OpenSealed(annotation->second);
    if (!one.ok()) return one.error().In(file);
    one->kind = workload.kind;
    one->name = workload.name;
    one->runtime_class = workload.pod.runtime_class;
    out.push_back(std::move(*one));
  }
  if (out.empty()) {
    return Err(
        "cli.not-sealed", file,
        "has no policy in its annotations: `ccgpu policy generate " + file + " -o FILE` makes a manifest that has");
  }
  return out;
}

}  // namespace ccgpu::cli
