#include "attestation-agent/collateral.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"

namespace ccgpu::agent {
namespace {

Result<std::vector<std::filesystem::path>> FilesOf(const std::string& folder, const char* ending) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ending) out.push_back(entry.path());
  }
  if (error && error != std::errc::no_such_file_or_directory) return Err("agent.collateral", folder, error.message());
  std::sort(out.begin(), out.end());
  return out;
}

Status AddDerFiles(const std::string& folder, std::vector<Bytes>& to) {
  ASSIGN_OR_RETURN(auto files, FilesOf(folder, ".der"));
  for (const auto& path : files) {
    ASSIGN_OR_RETURN(std::string der, ReadFile(path));
    to.push_back(ToBytes(AsBytes(der)));
  }
  return Ok();
}

}  // namespace

Result<evidence::Collateral> LoadCollateral(const std::string& folder) {
  evidence::Collateral out;
  ASSIGN_OR_RETURN(auto rims, FilesOf(folder + "/rim", ".xml"));
  for (const auto& path : rims) {
    ASSIGN_OR_RETURN(out.rims[path.stem().string()], ReadFile(path));
  }
  RETURN_IF_ERROR(AddDerFiles(folder + "/ocsp", out.ocsp_responses));
  RETURN_IF_ERROR(AddDerFiles(folder + "/crl", out.crls));
  return out;
}

}  // namespace ccgpu::agent
