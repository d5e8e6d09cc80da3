#include "trust/evidence/tpm_algorithms.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

struct Algorithm {
  uint16_t id;
  const char* name;
  size_t size;
  const EVP_MD* (*digest)();
};
constexpr Algorithm kAlgorithms[] = {{tpm_alg::kSha1, "sha1", 20, EVP_sha1},
                                     {tpm_alg::kSha256, "sha256", 32, EVP_sha256},
                                     {tpm_alg::kSha384, "sha384", 48, EVP_sha384},
                                     {tpm_alg::kSha512, "sha512", 64, EVP_sha512}};

const Algorithm* Find(uint16_t id) {
  for (const Algorithm& a : kAlgorithms) {
    if (a.id == id) return &a;
  }
  return nullptr;
}

}  // namespace

std::optional<size_t> TpmHashSize(uint16_t algorithm) {
  const Algorithm* a = Find(algorithm);
  return a ? std::optional<size_t>(a->size) : std::nullopt;
}

std::string TpmHashName(uint16_t algorithm) {
  if (const Algorithm* a = Find(algorithm)) return a->name;
  return "0x" + HexEncode(Writer().BigU16(algorithm).bytes());
}

std::optional<uint16_t> TpmHashOfName(std::string_view name) {
  for (const Algorithm& a : kAlgorithms) {
    if (name == a.name) return a.id;
  }
  return std::nullopt;
}

Bytes TpmDigest(uint16_t algorithm, ByteView data) {
  const Algorithm* a = Find(algorithm);
  if (!a) std::abort();
  Bytes out(a->size);
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, a->digest(), nullptr) != 1) std::abort();
  return out;
}

Bytes TpmExtend(uint16_t algorithm, ByteView old, ByteView digest) {
  return TpmDigest(algorithm, Concat({old, digest}));
}

}  // namespace ccgpu::evidence
