// A fresh P-384 key for one key exchange, from the caller's randomness (so that tests and replays decide it).
#pragma once

#include "base/crypto/digest.h"
#include "base/crypto/key.h"

namespace ccgpu::spdm {

crypto::PrivateKey MakeEphemeralKey(crypto::Random& random);

}  // namespace ccgpu::spdm
