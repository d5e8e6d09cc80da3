// Certificate tables, and the vendor extensions of certificates.
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/snp_certs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  (void)evidence::ParseCertTable({data, size});
  const auto certificate = crypto::Certificate::FromDer({data, size});
  if (!certificate.ok()) return 0;
  (void)evidence::LeafFwid(*certificate);
  (void)evidence::DevicePdi(*certificate);
  (void)evidence::ReadVcekExtensions(*certificate);
  return 0;
}
