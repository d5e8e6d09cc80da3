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

}  // namespace

Result<evidence::Collateral> LoadCollateral(const std::string& folder) {
  evidence::Collateral out;
  ASSIGN_OR_RETURN(auto rims, FilesOf(folder + "/rim", ".xml"));
  for (const auto& path : rims) {
    ASSIGN_OR_RETURN(out.rims[path.stem().string()], ReadFile(path));
  }
  ASSIGN_OR_RETURN(auto ocsp, FilesOf(folder + "/ocsp", ".der"));
  for (const auto& path : ocsp) {
    ASSIGN_OR_RETURN(std::string der, ReadFile(path));
    out.ocsp_responses.push_back(ToBytes(AsBytes(der)));
  }
  ASSIGN_OR_RETURN(auto crls, FilesOf(folder + "/crl", ".der"));
  for (const auto& path : crls) {
    ASSIGN_OR_RETURN(std::string der, ReadFile(path));
    out.crls.push_back(ToBytes(AsBytes(der)));
  }
  return out;
}

}  // namespace ccgpu::agent
