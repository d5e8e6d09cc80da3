// What the formats of CPU evidence share.
#pragma once

#include "cli/evidence/format.h"
#include "trust/evidence/snp_certs.h"
#include "trust/evidence/tdx_evidence.h"

namespace ccgpu::cli {

OrderedJson TdxJsonOf(const evidence::TdxEvidence& evidence);
OrderedJson SnpJsonOf(const evidence::SnpEvidence& evidence);

}  // namespace ccgpu::cli
