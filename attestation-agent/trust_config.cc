#include "attestation-agent/trust_config.h"

#include "base/file.h"
#include "base/yaml.h"

namespace ccgpu::agent {
namespace {

Status AddRoots(const std::vector<std::string>& pems, const std::string& where, std::vector<crypto::Certificate>& to) {
  for (const std::string& pem : pems) {
    auto certificates = crypto::Certificate::ListFromPem(pem);
    if (!certificates.ok()) return certificates.error().In(where);
    to.insert(to.end(), certificates->begin(), certificates->end());
  }
  return Ok();
}

}  // namespace

Result<verify::Anchors> ParseEvidenceTrust(const std::string& yaml, const std::string& name) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("EvidenceTrust", yaml, name));
  YamlMap spec = document->Map("spec", true);
  const auto device_roots = spec.Strings("deviceRoots"), rim_roots = spec.Strings("rimRoots"),
             amd_roots = spec.Strings("amdRoots"), intel_roots = spec.Strings("intelRoots"),
             tpm_roots = spec.Strings("tpmRoots");
  verify::Anchors anchors = verify::BuiltinAnchors();
  anchors.insecure_accept_emulated = spec.Bool("insecureAcceptEmulated");
  spec.Done();
  RETURN_IF_ERROR(document.Done());
  RETURN_IF_ERROR(AddRoots(device_roots, name + ": spec.deviceRoots", anchors.device_roots));
  RETURN_IF_ERROR(AddRoots(rim_roots, name + ": spec.rimRoots", anchors.rim_roots));
  RETURN_IF_ERROR(AddRoots(amd_roots, name + ": spec.amdRoots", anchors.amd_roots));
  RETURN_IF_ERROR(AddRoots(intel_roots, name + ": spec.intelRoots", anchors.intel_roots));
  RETURN_IF_ERROR(AddRoots(tpm_roots, name + ": spec.tpmRoots", anchors.tpm_roots));
  return anchors;
}

Result<TrustConfig> LoadTrustConfig(const std::string& init_data_path) {
  TrustConfig out;
  ASSIGN_OR_RETURN(out.init_data_text, ReadFile(init_data_path, kbs::kMaxInitDataDocument));
  ASSIGN_OR_RETURN(kbs::InitData init, kbs::ParseInitData(out.init_data_text));
  auto aa = init.data.find("aa.toml");
  if (aa == init.data.end())
    return Err("agent.no-broker", "initdata", "has no aa.toml: it names the broker that this pod may talk to");
  auto broker = kbs::ParseAaToml(aa->second);
  if (!broker.ok()) return broker.error().In("aa.toml");
  out.broker = *broker;
  auto trust = init.data.find("ccgpu-trust.yaml");
  if (trust == init.data.end()) {
    out.anchors = verify::BuiltinAnchors();
    return out;
  }
  ASSIGN_OR_RETURN(out.anchors, ParseEvidenceTrust(trust->second, "ccgpu-trust.yaml"));
  return out;
}

}  // namespace ccgpu::agent
