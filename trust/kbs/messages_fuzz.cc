// Everything of the KBS protocol that comes from the other side.
#include "trust/kbs/ear.h"
#include "trust/kbs/jcs.h"
#include "trust/kbs/jwe.h"
#include "trust/kbs/protocol.h"
#include "trust/kbs/resource_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ccgpu::kbs::TeeKey key = ccgpu::kbs::TeeKey::Generate();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto attest = ccgpu::kbs::ParseAttestRequest(text);
  if (attest.ok()) (void)ccgpu::kbs::ParseAttestRequest(attest->ToJson());
  (void)ccgpu::kbs::ParseAuthRequest(text);
  (void)ccgpu::kbs::ParseChallenge(text);
  (void)ccgpu::kbs::ParseAdditionalEvidence(text);
  (void)ccgpu::kbs::ParseErrorBody(text);
  (void)ccgpu::kbs::ParseResourcePath(text);
  (void)ccgpu::kbs::ParseResourceUri(text);
  (void)ccgpu::kbs::DecryptJwe(key, text);
  (void)ccgpu::kbs::VerifyJwt(key.key.public_key(), text, {});
  auto jwk = ccgpu::kbs::ParseJwk(text);
  if (jwk.ok()) (void)ccgpu::kbs::JwkKey(*jwk);
  auto canonical = ccgpu::kbs::CanonicalJson(text);
  if (canonical.ok()) {
    auto again = ccgpu::kbs::CanonicalJson(*canonical);
    if (!again.ok() || *again != *canonical) __builtin_trap();
  }
  return 0;
}
