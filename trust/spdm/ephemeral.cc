#include "trust/spdm/ephemeral.h"

#include <cstdlib>

#include "base/log.h"

namespace ccgpu::spdm {

crypto::PrivateKey MakeEphemeralKey(crypto::Random& random) {
  // A scalar outside [1, n-1] has a chance of 2^-190; a source that gives one again and again is broken.
  for (int attempt = 0; attempt < 16; ++attempt) {
    Bytes scalar = random.Take(48);
    Result<crypto::PrivateKey> key = crypto::PrivateKey::FromScalar(crypto::KeyType::kP384, scalar);
    Wipe(scalar);
    if (key.ok()) return *std::move(key);
  }
  log::Error("the source of randomness gives no usable P-384 scalar");
  std::abort();
}

}  // namespace ccgpu::spdm
