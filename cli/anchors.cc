#include "cli/anchors.h"

#include "cli/deployment/deployment.h"

namespace ccgpu::cli {
namespace {

Status AddRoots(const std::string& pem, const std::string& where, verify::Anchors& anchors) {
  auto certificates = crypto::Certificate::ListFromPem(pem);
  if (!certificates.ok()) return certificates.error().In(where);
  for (const crypto::Certificate& certificate : *certificates) {
    const std::string name = certificate.SubjectName();
    const auto says = [&](const char* word) { return name.find(word) != std::string::npos; };
    std::vector<crypto::Certificate>& kind = says("ARK") || says("SEV") ? anchors.amd_roots
                                             : says("SGX")              ? anchors.intel_roots
                                             : says("RIM")              ? anchors.rim_roots
                                                                        : anchors.device_roots;
    kind.push_back(certificate);
  }
  return Ok();
}

}  // namespace

Result<verify::Anchors> ChooseAnchors(const deployment::Layout& layout, const std::vector<InputFile>& roots,
                                      bool insecure_accept_emulated, std::vector<std::string>* warnings) {
  verify::Anchors anchors = verify::BuiltinAnchors();
  anchors.insecure_accept_emulated = insecure_accept_emulated;
  for (const InputFile& root : roots) RETURN_IF_ERROR(AddRoots(root.bytes, root.path, anchors));
  if (auto config = deployment::LoadConfig(layout);
      config.ok() && (insecure_accept_emulated || config->insecure_accept_emulated)) {
    if (!insecure_accept_emulated)
      warnings->push_back(
          "emulated evidence is accepted, because the deployment was brought up with --insecure-accept-emulated");
    anchors.insecure_accept_emulated = true;
    // With --root the caller names the roots; the deployment's would let its emulator's evidence in beside them.
    if (roots.empty()) {
      RETURN_IF_ERROR(AddRoots(config->device_root_pem, "config.json", anchors));
      RETURN_IF_ERROR(AddRoots(config->rim_root_pem, "config.json", anchors));
      RETURN_IF_ERROR(AddRoots(config->amd_root_pem, "config.json", anchors));
      RETURN_IF_ERROR(AddRoots(config->intel_root_pem, "config.json", anchors));
      if (!config->tpm_root_pem.empty()) {
        ASSIGN_OR_RETURN(anchors.tpm_roots, crypto::Certificate::ListFromPem(config->tpm_root_pem));
      }
    }
  }
  return anchors;
}

}  // namespace ccgpu::cli
