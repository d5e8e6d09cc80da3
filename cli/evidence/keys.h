// The keys and reference values that the caller trusts, from the files named by --key and --reference.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/evidence/format.h"
#include "trust/verify/references/corim.h"
#include "trust/verify/token/token.h"

namespace ccgpu::cli {

// PEM public keys and JWKS. Errors: crypto.*, token.*.
Result<std::vector<verify::TokenKey>> TokenKeys(const Expectations& expect);
Result<verify::CoseRules> CoseRulesOf(const Expectations& expect);

// Signed CoRIMs, each judged under those keys at expect.at: one that is refused is an error, since the caller asked for
// it. The first failed check's code.
Result<std::shared_ptr<const verify::References>> ReadReferences(const std::vector<std::string>& files,
                                                                 const Expectations& expect);

}  // namespace ccgpu::cli
