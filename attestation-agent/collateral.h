// Collateral (reference manifests, revocation) from a folder: rim/<id>.xml, ocsp/*.der, crl/*.der. Whoever put it there
// need not be trusted: all of it is signed.
#pragma once

#include "trust/evidence/composite.h"

namespace ccgpu::agent {

// Missing sub-folders are empty ones.
Result<evidence::Collateral> LoadCollateral(const std::string& folder);

}  // namespace ccgpu::agent
