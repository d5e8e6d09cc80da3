// Reading what `policy generate` wrote: the pods of a manifest that carry a policy.
#pragma once

#include <string>
#include <vector>

#include "trust/kbs/initdata.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::cli {

struct Sealed {
  std::string kind, name;  // "Deployment", "digits"
  std::string runtime_class;
  std::string initdata;  // the document
  std::string digest;    // "sha256:..", HOST_DATA
  kbs::InitData init;    // the same, parsed
  policy::PodPolicy policy;
};

// From an annotation's value.
Result<Sealed> OpenSealed(const std::string& annotation);
// Every sealed pod of the file, at least one. Errors: cli.not-sealed, and those of the documents.
Result<std::vector<Sealed>> ReadSealed(const std::string& file);

}  // namespace ccgpu::cli
