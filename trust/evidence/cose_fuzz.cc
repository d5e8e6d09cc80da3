// COSE_Sign1: any bytes; what is read has a named algorithm and a Sig_structure that is CBOR.
#include <cstdlib>

#include "trust/evidence/cose.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const auto message = evidence::ParseCoseSign1({data, size});
  if (!message.ok()) return 0;
  const Bytes signed_bytes =
      evidence::CoseSigStructure(message->protected_header, {}, message->payload.value_or(Bytes()));
  if (!evidence::cbor::Decode(signed_bytes).ok()) std::abort();
  return 0;
}
