// From an ordinary pod manifest to a sealed one: its PodPolicy, the initdata document around it, and the annotation.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "node/images/archive.h"
#include "node/manifest/pod_spec.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::cli {

inline constexpr const char* kGpuResource = "ccgpu.dev/cc-gpu";

struct PolicyChoices {
  std::string gpu_mode = "hopper-cc";
  bool allow_set_ready = false;
  // "container" -> commands that `exec` may run there; whole argument vectors.
  std::map<std::string, std::vector<std::vector<std::string>>> allowed_exec;
};

// What the pod is going to be under containerd's and ccgpu-node's defaults. `images`: by reference as the manifest
// spells it. Errors: cli.unknown-image, cli.unknown-user, cli.cannot-seal (a field that no policy can hold).
Result<policy::PodPolicy> MakePodPolicy(const node::PodSpec& pod,
                                        const std::map<std::string, images::ImageInfo>& images,
                                        const PolicyChoices& choices);

// What the sandbox is to believe.
struct TrustChoices {
  std::string kbs_url, kbs_cert_pem;
  std::vector<std::string> device_roots_pem, rim_roots_pem;
  bool insecure_accept_emulated = false;
};
std::string WriteTrust(const TrustChoices& trust);  // ccgpu-trust.yaml

// The initdata document; its SHA-256 is HOST_DATA.
std::string MakeInitData(const policy::PodPolicy& policy, const TrustChoices& trust);

// The manifest with the annotation put in (an old one taken out), everything else byte for byte as it was.
// Error: cli.cannot-annotate, when metadata is not written in block style.
Result<std::string> Annotate(const std::string& manifest, const std::string& file, const std::string& annotation);

// The same for any field: `key: value` in the mapping at `path` of document number `document`; mappings that are not
// there are made. `value` is written as it is and must be a plain scalar. Error: cli.cannot-annotate.
struct FieldPlace {
  size_t document = 0;
  std::vector<std::string> path;
  std::string key;
};
Result<std::string> SetField(const std::string& manifest, const std::string& file, const FieldPlace& place,
                             const std::string& value);

// A digest as release policies want it: "sha256:<hex>" of an initdata document.
std::string DigestOf(const std::string& initdata);

}  // namespace ccgpu::cli
