// For this folder only: our names in OpenSSL's words.
#pragma once

#include <openssl/types.h>

#include "base/crypto/digest.h"

namespace ccgpu::crypto {

const EVP_MD* Md(Hash hash);

}  // namespace ccgpu::crypto
