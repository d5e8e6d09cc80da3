#include "examples/digits/sealed_model.h"

#include <httplib.h>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"

namespace digits {

using namespace ccgpu;

Bytes Seal(ByteView key, std::string_view model) {
  const Bytes nonce = crypto::SystemRandom().Take(crypto::kAeadNonceSize);
  return Concat({nonce, crypto::AeadSeal(key, nonce, AsBytes(kModelAad), AsBytes(model))});
}

Result<std::string> Open(ByteView key, ByteView sealed) {
  if (key.size() != crypto::kAeadKeySize)
    return Err("digits.key-size", "key", "has " + std::to_string(key.size()) + " bytes, not 32");
  if (sealed.size() < crypto::kAeadNonceSize) return Err("digits.model-size", "model", "is too short");
  ASSIGN_OR_RETURN(Bytes plain, crypto::AeadOpen(key, sealed.first(crypto::kAeadNonceSize), AsBytes(kModelAad),
                                                 sealed.subspan(crypto::kAeadNonceSize)));
  return ToText(plain);
}

Result<Bytes> FetchResource(const std::string& path) {
  httplib::Client agent("127.0.0.1", 8006);
  agent.set_read_timeout(60);
  // The agent starts together with the containers: the first tries may come before it listens.
  httplib::Result answer = agent.Get("/cdh/resource/" + path);
  for (int tries = 0; tries < 200 && !answer && answer.error() == httplib::Error::Connection; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    answer = agent.Get("/cdh/resource/" + path);
  }
  if (!answer) return Err("digits.no-agent", "127.0.0.1:8006", "no attestation agent answers in this pod");
  if (answer->status != 200)
    return Err("digits.refused", "kbs:///" + path,
               "the agent answered " + std::to_string(answer->status) + ": " + answer->body);
  return ToBytes(AsBytes(answer->body));
}

}  // namespace digits
