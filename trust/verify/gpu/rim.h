// A reference manifest judged alone, before anybody relies on it: when it is fetched, mirrored or put into a bundle.
#pragma once

#include "trust/verify/verify.h"

namespace ccgpu::verify {

struct RimOptions {
  bool require_revocation = true;
  bool allow_hold = false;
  std::chrono::seconds revocation_max_age = std::chrono::hours(24);
};

// Checks "rim.parsed", "rim.root", "rim.chain", "rim.signature", with the codes of a GPU's RIM checks; documents are
// called "rim". Claims: name, version, product, signer.
Verdict VerifyRim(std::string_view xml, const Collateral& collateral, const Anchors& anchors, const RimOptions& options,
                  TimePoint now);

}  // namespace ccgpu::verify
