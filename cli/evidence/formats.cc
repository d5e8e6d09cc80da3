#include "cli/evidence/formats.h"

namespace ccgpu::cli {

const std::vector<Format>& Formats() {
  static const std::vector<Format> rows = {
      {"composite", "a pod's evidence (ccgpu.evidence/v1)", DetectComposite, ShowComposite, VerifyComposite, false,
       PartsOfComposite},
      {"nvidia-json", "NVIDIA device evidence (JSON list)", DetectNvidiaList, ShowNvidiaList, VerifyNvidiaList, false,
       PartsOfNvidiaList},
      {"gpu-report", "an NVIDIA attestation report", DetectGpuReport, ShowGpuReport, VerifyGpuReport, false,
       PartsOfGpuReport},
      {"snp-report", "an AMD SEV-SNP report", DetectSnpReport, ShowSnpReport, VerifySnpReport, false, PartsOfSnpReport},
      {"snp-json", "CoCo's SEV-SNP evidence (JSON)", DetectSnpJson, ShowSnpJson, VerifySnpJson, false, PartsOfSnpJson},
      {"tdx-quote", "an Intel TDX quote", DetectTdx, ShowTdx, VerifyTdx, false, PartsOfTdx},
      {"tpm-json", "a TPM 2.0 quote (JSON)", DetectTpmJson, ShowTpmJson, VerifyTpmJson},
      {"azure-json", "an Azure confidential VM's evidence (CoCo's JSON)", DetectAzure, ShowAzure, VerifyAzure},
      {"nras-token", "NVIDIA's attestation token (detached EAT)", DetectNras, ShowNras, VerifyNras},
      {"ear-token", "an attestation result (EAR, JWT)", DetectEar, ShowEar, VerifyEar},
      {"corim", "signed reference values (CoRIM)", DetectCorim, ShowCorim, VerifyCorim},
      {"cose", "a signed COSE message", DetectCose, ShowCose, VerifyCose},
      {"rim", "a reference manifest (RIM)", DetectRim, ShowRim, VerifyRim, true},
  };
  return rows;
}

}  // namespace ccgpu::cli
