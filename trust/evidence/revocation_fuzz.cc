// OCSP responses, OCSP requests (the emulator's service reads them) and CRLs.
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  (void)evidence::ParseCrl({data, size});
  const auto response = evidence::ParseOcspResponse({data, size});
  if (response.ok()) {
    for (const auto& certificate : response->certificates)
      (void)(evidence::MayOcspSign(certificate) && response->IsSignedBy(certificate.key()));
  }
  return 0;
}
