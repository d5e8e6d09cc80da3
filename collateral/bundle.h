// A signed bundle of collateral for sites without a network: one file that an operator makes where there is one and
// signs (docs/formats/bundle.md).
//
//   {"format":"ccgpu.collateral-bundle/v1","manifest":"<JSON text>","signature":b64 r||s,"documents":{sha256 hex: b64}}
//
// The signature is ECDSA P-384 with SHA-384 (ES384) over kBundleContext || the manifest text, exactly as it stands.
// The manifest names each document by kind, name, size and SHA-256. The documents are signed by their vendors anyway;
// the operator's signature says which set is meant, and from when.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/crypto/key.h"
#include "collateral/document.h"

namespace ccgpu::collateral {

inline constexpr std::string_view kBundleFormat = "ccgpu.collateral-bundle/v1";
inline constexpr std::string_view kBundleContext = "ccgpu.collateral-bundle/v1\n";
inline constexpr size_t kMaxBundle = 128u << 20;

struct Bundle {
  TimePoint created{};
  std::string note;  // the operator's own words
  Documents documents;
};

// Errors: collateral.bad-key (not a P-384 key), collateral.bad-name.
Result<std::string> WriteBundle(const Bundle& bundle, const crypto::PrivateKey& key);
// Verifies the signature before it reads the manifest, then every digest. Anything unknown, missing, surplus or twice
// is refused. Errors: collateral.bundle-malformed, collateral.bundle-signature, collateral.bad-key.
Result<Bundle> ReadBundle(std::string_view text, const crypto::PublicKey& pinned);
bool LooksLikeBundle(std::string_view bytes);

}  // namespace ccgpu::collateral
