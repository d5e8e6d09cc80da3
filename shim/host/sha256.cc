#define OPENSSL_SUPPRESS_DEPRECATED
#include "shim/host/sha256.h"

#include <openssl/sha.h>

namespace ccgpu::shim {

std::string Sha256(std::string_view data) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data.data(), data.size());
  SHA256_Final(reinterpret_cast<unsigned char*>(out.data()), &context);
  return out;
}

}  // namespace ccgpu::shim
