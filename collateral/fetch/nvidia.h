// NVIDIA's RIM and OCSP services: what is asked of them for a GPU, in one way for every program.
#pragma once

#include <string>
#include <vector>

#include "base/crypto/x509.h"
#include "collateral/fetch/fetcher.h"
#include "trust/evidence/composite.h"

namespace ccgpu::collateral {

// The device's certificates whose revocation a service tells, leaf first, with their issuers behind them. Empty when
// the evidence's cannot be read.
std::vector<crypto::Certificate> CheckableChain(const evidence::GpuEvidence& gpu);
// The RIMs that this GPU or switch is judged by. Errors: the report's parser's.
Result<std::vector<std::string>> RimIdsOf(const evidence::GpuEvidence& gpu);

// `service` with or without a slash at its end. RIM ids are made of evidence that nobody has checked yet and become
// part of a URL: "collateral.rim-unavailable" for one that cannot exist.
Result<FetchRequest> RimRequest(const std::string& service, const std::string& id);

// Without a nonce: the answer is for later and for several verifications; its dates say how old it is.
FetchRequest OcspRequest(const std::string& service, const crypto::Certificate& subject,
                         const crypto::Certificate& issuer);
// Names the question in caches.
std::string OcspKey(const crypto::Certificate& subject, const crypto::Certificate& issuer);

}  // namespace ccgpu::collateral
