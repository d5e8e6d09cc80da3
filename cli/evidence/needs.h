// What collateral a piece of evidence needs, and what of it is not at hand.
#pragma once

#include <string>
#include <vector>

#include "cli/evidence/format.h"

namespace ccgpu::cli {

struct Needs {
  std::vector<evidence::GpuEvidence> gpus;  // switches too
  std::vector<evidence::SnpEvidence> snps;
  std::vector<evidence::TdxEvidence> tdxs;
  evidence::Collateral brought;  // what the evidence carries itself
};
// Formats that need none give an empty answer. Errors: the parsers'.
Result<Needs> NeedsOf(const EvidenceCase& evidence);

struct Missing {
  std::string what;  // "NV_GPU_DRIVER_GH100_550.90.07", "revocation of ..."
  std::string text;  // a sentence: what was looked for, where, and what is there
};
// By the case's documents and what the evidence brought. Nothing is verified.
std::vector<Missing> MissingFor(const EvidenceCase& evidence, const Needs& needs);

}  // namespace ccgpu::cli
