// What `evidence verify` believes: roots and collateral from files and from the deployment.
#pragma once

#include <string>
#include <vector>

#include "cli/deployment/layout.h"
#include "cli/evidence/format.h"
#include "trust/evidence/composite.h"
#include "trust/verify/verify.h"

namespace ccgpu::cli {

// NVIDIA's and AMD's roots, the certificates of `roots` (PEM), and the deployment's own roots when emulated evidence is
// accepted: by the option, or because the deployment was brought up so (said in `warnings`). A certificate of a file
// becomes an anchor of one kind only, by its subject's name: "SGX" or "INTEL", "ARK" or "SEV", "RIM", else a device
// root.
Result<verify::Anchors> ChooseAnchors(const deployment::Layout& layout, const std::vector<InputFile>& roots,
                                      bool insecure_accept_emulated, std::vector<std::string>* warnings);

}  // namespace ccgpu::cli
