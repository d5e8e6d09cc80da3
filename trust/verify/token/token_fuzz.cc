// Tokens, messages and CoRIMs: whatever comes, nothing is accepted under keys that nobody has.
#include <cstdlib>

#include "trust/verify/references/corim.h"
#include "trust/verify/token/token.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  static const crypto::PublicKey key = crypto::PrivateKey::Generate(crypto::KeyType::kP384).public_key();
  const TimePoint now(std::chrono::seconds(1749602000));
  const ByteView all(data, size);
  verify::EarOptions ear;
  ear.token.keys = {verify::PinnedKey(key).value()};
  ear.token.issuer = "verifier";
  const auto token = verify::VerifyEar(evidence::Unverified(ToText(all)), ear, now);
  if (token.accepted || token.verified) std::abort();
  (void)token.ToJson();
  if (const auto bundle = evidence::ParseDetachedEat(AsText(all)); bundle.ok()) {
    verify::NrasOptions nras;
    nras.token = ear.token;
    nras.token.issuer = verify::kNrasIssuer;
    nras.nonce = Bytes(32);
    const auto verdict = verify::VerifyNrasToken(evidence::Unverified(*bundle), nras, now);
    if (verdict.accepted || verdict.verified) std::abort();
    (void)verdict.ToJson();
  }
  verify::CorimOptions corim;
  corim.signer.keys = {verify::PinnedCoseKey(key).value()};
  const auto values = verify::VerifyCorim(evidence::Unverified(ToBytes(all)), corim, now);
  if (values.verdict.accepted || values.values) std::abort();
  (void)values.verdict.ToJson();
  return 0;
}
