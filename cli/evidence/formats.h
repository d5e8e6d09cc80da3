// The functions behind the rows of the table of formats. Private to cli/evidence.
#pragma once

#include "cli/evidence/format.h"

namespace ccgpu::cli {

#define CCGPU_FORMAT(Name)                                      \
  bool Detect##Name(const InputFile& file);                     \
  Result<OrderedJson> Show##Name(const EvidenceCase& evidence); \
  Result<Judgement> Verify##Name(const EvidenceCase& evidence, const Expectations& expect)

CCGPU_FORMAT(Composite);
CCGPU_FORMAT(NvidiaList);
CCGPU_FORMAT(GpuReport);
CCGPU_FORMAT(SnpReport);
CCGPU_FORMAT(SnpJson);
CCGPU_FORMAT(Rim);
CCGPU_FORMAT(Tdx);
CCGPU_FORMAT(TpmJson);
CCGPU_FORMAT(Azure);
CCGPU_FORMAT(Nras);
CCGPU_FORMAT(Ear);
CCGPU_FORMAT(Corim);
CCGPU_FORMAT(Cose);
#undef CCGPU_FORMAT

Status PartsOfComposite(const EvidenceCase& evidence, Needs& needs);
Status PartsOfNvidiaList(const EvidenceCase& evidence, Needs& needs);
Status PartsOfGpuReport(const EvidenceCase& evidence, Needs& needs);
Status PartsOfSnpReport(const EvidenceCase& evidence, Needs& needs);
Status PartsOfTdx(const EvidenceCase& evidence, Needs& needs);
Status PartsOfSnpJson(const EvidenceCase& evidence, Needs& needs);

}  // namespace ccgpu::cli
