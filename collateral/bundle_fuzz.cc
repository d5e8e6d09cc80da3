// Bundles, RIM services' answers and single documents from outside: never a crash; a bundle only under its key.
#include <cstdlib>

#include "base/encoding.h"
#include "base/json.h"
#include "collateral/bundle.h"
#include "collateral/describe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  using namespace ccgpu::collateral;
  static const crypto::PrivateKey key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  static const crypto::PublicKey other = crypto::PrivateKey::Generate(crypto::KeyType::kP384).public_key();
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (ReadBundle(text, other).ok()) abort();
  // The input as a manifest that was really signed: everything behind the signature is reached.
  const Json bundle = {{"format", kBundleFormat}, {"manifest", text}, {"signature", ""}, {"documents", Json::object()}};
  std::string wrapped = bundle.dump(-1, ' ', true, Json::error_handler_t::replace);
  const Json again = Json::parse(wrapped, nullptr, false);
  if (again.is_object()) {
    Json signed_bundle = again;
    const Bytes bytes = Concat({AsBytes(kBundleContext), AsBytes(again["manifest"].get<std::string>())});
    const std::string signature = Base64Encode(key.SignRaw(crypto::Hash::kSha384, bytes));
    signed_bundle["signature"] = signature;
    (void)ReadBundle(signed_bundle.dump(), key.public_key());
  }
  (void)RimOfAnswer(text, "");
  if (auto documents = Recognise(text, "x"); documents.ok()) {
    for (const Document& document : *documents) (void)Describe(document);
    (void)ToCollateral(*documents);
    (void)AmdCertificates(*documents);
  }
  return 0;
}
