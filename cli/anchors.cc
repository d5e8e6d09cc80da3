#include "cli/anchors.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
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
                                             : says("RIM")              ? anchors.rim_roots
                                                                        : anchors.device_roots;
    kind.push_back(certificate);
  }
  return Ok();
}

std::vector<std::filesystem::path> FilesOf(const std::string& folder, const std::string& extension) {
  std::vector<std::filesystem::path> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == extension) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Status AddDer(const std::string& folder, std::vector<Bytes>& to) {
  for (const auto& path : FilesOf(folder, ".der")) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(path, 4u << 20));
    to.push_back(ToBytes(AsBytes(content)));
  }
  return Ok();
}

}  // namespace

Result<verify::Anchors> ChooseAnchors(const deployment::Layout& layout, const std::vector<std::string>& root_files,
                                      bool insecure_accept_emulated, std::vector<std::string>* warnings) {
  verify::Anchors anchors = verify::BuiltinAnchors();
  anchors.insecure_accept_emulated = insecure_accept_emulated;
  for (const std::string& file : root_files) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(file, 1u << 20));
    RETURN_IF_ERROR(AddRoots(pem, file, anchors));
  }
  if (auto config = deployment::LoadConfig(layout);
      config.ok() && (insecure_accept_emulated || config->insecure_accept_emulated)) {
    if (!insecure_accept_emulated)
      warnings->push_back(
          "emulated evidence is accepted, because the deployment was brought up with --insecure-accept-emulated");
    anchors.insecure_accept_emulated = true;
    // With --root the caller names the roots; the deployment's would let its emulator's evidence in beside them.
    if (root_files.empty()) {
      RETURN_IF_ERROR(AddRoots(config->device_root_pem, "config.json", anchors));
      RETURN_IF_ERROR(AddRoots(config->rim_root_pem, "config.json", anchors));
      RETURN_IF_ERROR(AddRoots(config->amd_root_pem, "config.json", anchors));
    }
  }
  return anchors;
}

Status AddCollateral(const std::string& dir, evidence::Collateral& to) {
  if (!std::filesystem::is_directory(dir))
    return Err("file.not-found", dir, "is no folder (expected rim/, ocsp/ and crl/ below it)");
  for (const auto& path : FilesOf(dir + "/rim", ".xml")) {
    ASSIGN_OR_RETURN(to.rims[path.stem().string()], ReadFile(path, 4u << 20));
  }
  RETURN_IF_ERROR(AddDer(dir + "/ocsp", to.ocsp_responses));
  return AddDer(dir + "/crl", to.crls);
}

}  // namespace ccgpu::cli
