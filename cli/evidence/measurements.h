// What more can be said about a failure than the check itself says: each measurement that differs, with its component
// and its RIM, and the nearest RIM; for a missing RIM where it was looked for.
#pragma once

#include "cli/evidence/explain.h"

namespace ccgpu::cli {

void AddDetails(const EvidenceCase& evidence, const Judgement& judgement, Explanation& explanation);

}  // namespace ccgpu::cli
