// The check "references", for the lists of each kind of evidence. Included by trust/verify's own sources only.
#pragma once

#include "trust/verify/internal.h"
#include "trust/verify/references/corim.h"

namespace ccgpu::verify {

// Not applicable without `references`; fails when they say nothing about this environment, differ, or are of another
// environment than the evidence. `document`: where the measurements are.
Finding CheckReferences(const References* references, const Measured& measured, const std::string& environment,
                        const std::string& document);

}  // namespace ccgpu::verify
