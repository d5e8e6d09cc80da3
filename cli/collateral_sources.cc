#include "cli/collateral_sources.h"

#include <filesystem>

#include "base/file.h"
#include "collateral/folder.h"

namespace ccgpu::cli {

Result<collateral::Bundle> ReadSignedBundle(const std::string& path, const std::string& bundle_key_file) {
  if (bundle_key_file.empty()) {
    return Err(
        "collateral.no-key", path,
        "is a bundle: name the public key of who signed it with --bundle-key; without it anybody could have made "
        "the bundle");
  }
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(bundle_key_file, 1u << 20));
  auto key = crypto::PublicKey::FromPem(pem);
  if (!key.ok()) return Err("collateral.bad-key", bundle_key_file, "is no public key in PEM");
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, collateral::kMaxBundle));
  auto bundle = collateral::ReadBundle(text, *key);
  if (!bundle.ok()) return bundle.error().In(path);
  return bundle;
}

Result<collateral::Documents> ReadCollateral(const std::string& path, const std::string& bundle_key_file) {
  if (!std::filesystem::is_directory(path)) {
    ASSIGN_OR_RETURN(collateral::Bundle bundle, ReadSignedBundle(path, bundle_key_file));
    return std::move(bundle.documents);
  }
  ASSIGN_OR_RETURN(collateral::Folder folder, collateral::ReadFolder(path, true));
  return std::move(folder.documents);
}

}  // namespace ccgpu::cli
