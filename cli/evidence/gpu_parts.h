// What the GPU formats share: showing one GPU's evidence, and finding the manifests that loose files are for.
#pragma once

#include "cli/evidence/format.h"
#include "trust/evidence/composite.h"

namespace ccgpu::cli {

OrderedJson GpuJson(const evidence::GpuEvidence& gpu);
// The same for its collateral: ids of RIMs, numbers of the others.
OrderedJson CollateralJson(const evidence::Collateral& collateral);

// The RIM ids that the evidence leads to. Empty for a report that cannot be read.
std::vector<std::string> RimIdsOf(const evidence::GpuEvidence& gpu);
// A RIM file that somebody named on the command line may be called anything ("Driver_RIM_test.swidtag"): it gets the id
// that the evidence asks for when it is for the same version and nothing else has that id. The id only finds the file;
// what its signed content is for is checked by the verifier.
void NameLooseRims(const std::vector<evidence::GpuEvidence>& gpus, collateral::Documents& documents);

// Collateral for judging: what the evidence brought, then the case's.
evidence::Collateral CollateralOf(const EvidenceCase& evidence, const evidence::Collateral& brought,
                                  const std::vector<evidence::GpuEvidence>& gpus);
// The documents that checks name, under the verifier's names: "gpu0/report", "switch1/certificate-chain", "rim/<id>".
void AddGpuDocuments(const std::vector<evidence::GpuEvidence>& devices, const std::string& word, Judgement& judgement);
void AddRims(const evidence::Collateral& collateral, Judgement& judgement);

}  // namespace ccgpu::cli
