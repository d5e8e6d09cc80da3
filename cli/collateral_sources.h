// Collateral as it is named on the command line: a folder, or a signed bundle with the key it must be signed by.
#pragma once

#include <string>

#include "collateral/bundle.h"
#include "collateral/document.h"

namespace ccgpu::cli {

// Errors: file.*, collateral.*; collateral.no-key when a bundle is named without a key.
Result<collateral::Documents> ReadCollateral(const std::string& path, const std::string& bundle_key_file);
Result<collateral::Bundle> ReadSignedBundle(const std::string& path, const std::string& bundle_key_file);

}  // namespace ccgpu::cli
