// Intel's JSON documents, and the SGX extension of certificates.
#include <cstdlib>

#include "trust/evidence/intel_documents.h"
#include "trust/evidence/sgx_pck.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView bytes(data, size);
  const std::string_view text = AsText(bytes);
  // What is signed is a piece of the text itself, never something written anew.
  if (const auto info = evidence::ParseTcbInfo(text); info.ok()) {
    if (info->signature.text.empty() || text.find(info->signature.text) == std::string_view::npos) std::abort();
  }
  if (const auto identity = evidence::ParseQeIdentity(text); identity.ok()) {
    if (identity->signature.text.empty() || text.find(identity->signature.text) == std::string_view::npos) std::abort();
  }
  if (const auto certificate = crypto::Certificate::FromDer(bytes); certificate.ok())
    (void)evidence::ReadPckExtensions(*certificate);
  return 0;
}
