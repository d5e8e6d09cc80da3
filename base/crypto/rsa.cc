#include "base/crypto/rsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <cstdlib>

#include "base/crypto/evp.h"

namespace ccgpu::crypto {
namespace {

constexpr int kMinBits = 2048;

using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Error Bad(std::string text) { return Err("crypto.bad-key", "RSA key", std::move(text)); }

Bytes NumberOf(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return {};
  const Number owned(number, BN_free);
  Bytes out(static_cast<size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, out.data());
  return out;
}

}  // namespace

bool VerifyRsaPkcs1(const PublicKey& key, Hash hash, ByteView data, ByteView signature) {
  // A key marked "RSA-PSS" is for PSS only.
  if (!key.valid() || !EVP_PKEY_is_a(key.raw(), "RSA") || key.type() == KeyType::kOther) return false;
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &options, Md(hash), nullptr, key.raw()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) != 1) {
    return false;
  }
  // Only 1 is success: 0 is a wrong signature and a negative number a broken one.
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
}

Bytes SignRsaPkcs1(const PrivateKey& key, Hash hash, ByteView data) {
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  size_t size = 0;
  if (!key.valid() || !EVP_PKEY_is_a(key.raw(), "RSA") ||
      EVP_DigestSignInit(context.get(), &options, Md(hash), nullptr, key.raw()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) != 1) {
    std::abort();
  }
  Bytes out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, data.data(), data.size()) != 1) std::abort();
  out.resize(size);
  return out;
}

Result<PublicKey> RsaFromNumbers(ByteView modulus, ByteView exponent, int max_bits) {
  if (modulus.size() > static_cast<size_t>(max_bits) / 8 + 1 || exponent.size() > 8)
    return Bad("its numbers are too long");
  const Number n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), BN_free);
  const Number e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr), BN_free);
  if (BN_num_bits(n.get()) < kMinBits || BN_num_bits(n.get()) > max_bits)
    return Bad("the modulus has " + std::to_string(BN_num_bits(n.get())) + " bits, expected 2048 to " +
               std::to_string(max_bits));
  if (!BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_num_bits(e.get()) > 32) return Bad("the exponent is not usable");
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(),
                                                                                OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                       OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Bad("is not an RSA key");
  }
  return PublicKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

std::pair<Bytes, Bytes> RsaNumbers(const PublicKey& key) {
  if (!key.valid() || !EVP_PKEY_is_a(key.raw(), "RSA")) return {};
  return {NumberOf(key.raw(), OSSL_PKEY_PARAM_RSA_N), NumberOf(key.raw(), OSSL_PKEY_PARAM_RSA_E)};
}

}  // namespace ccgpu::crypto
