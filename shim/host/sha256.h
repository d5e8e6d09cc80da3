// SHA-256 by OpenSSL's low-level functions. The usual ones (base/crypto) would link all of libcrypto into a program
// that runs once per pod and hashes two short texts.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::shim {

std::string Sha256(std::string_view data);  // 32 bytes

}  // namespace ccgpu::shim
