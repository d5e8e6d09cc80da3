#include "trust/kbs/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/jcs.h"

namespace ccgpu::kbs {
namespace {

constexpr size_t kMaxNumberText = 1400;  // base64url of 8192 bits
constexpr int kMinRsaBits = 2048;

Error Unsupported(std::string text) { return Err("kbs.unsupported-key", "tee-pubkey", std::move(text)); }

crypto::KeyType Curve(std::string_view crv) { return crv == "P-256" ? crypto::KeyType::kP256 : crypto::KeyType::kP521; }
size_t Width(std::string_view crv) { return crv == "P-256" ? 32 : 66; }

Result<std::string> Number(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(std::string text, JsonString(object, key, "tee-pubkey"));
  if (text.empty() || text.size() > kMaxNumberText || !Base64UrlDecode(text).ok()) {
    return Err("kbs.bad-key", "tee-pubkey." + std::string(key), "is not base64url of a number of up to 8192 bits");
  }
  return text;
}

Result<crypto::PublicKey> RsaKey(ByteView modulus, ByteView exponent) {
  std::unique_ptr<BIGNUM, decltype(&BN_free)> n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr),
                                                BN_free);
  std::unique_ptr<BIGNUM, decltype(&BN_free)> e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr),
                                                BN_free);
  if (BN_num_bits(n.get()) < kMinRsaBits) return Unsupported("an RSA key must have 2048 bits or more");
  if (!BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_num_bits(e.get()) > 64)
    return Unsupported("the RSA exponent is not usable");
  std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                 OSSL_PARAM_free);
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Err("kbs.bad-key", "tee-pubkey", "is not an RSA key");
  }
  return crypto::PublicKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

std::string RsaPart(const crypto::PublicKey& key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key.raw(), name, &number) != 1) return "";
  Bytes bytes(static_cast<size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, bytes.data());
  BN_free(number);
  return Base64UrlEncode(bytes);
}

}  // namespace

std::string PublicJwk::ToJson() const {
  // The members are already in RFC 8785's order.
  if (kty == "RSA")
    return R"({"alg":)" + JsonQuoted(alg) + R"(,"e":)" + JsonQuoted(e) + R"(,"kty":"RSA","n":)" + JsonQuoted(n) + "}";
  return R"({"alg":)" + JsonQuoted(alg) + R"(,"crv":)" + JsonQuoted(crv) + R"(,"kty":)" + JsonQuoted(kty) + R"(,"x":)" +
         JsonQuoted(x) + R"(,"y":)" + JsonQuoted(y) + "}";
}

Result<PublicJwk> ParseJwk(std::string_view json) {
  ASSIGN_OR_RETURN(const Json object, ParseJson(json, "tee-pubkey"));
  PublicJwk out;
  ASSIGN_OR_RETURN(out.kty, JsonString(object, "kty", "tee-pubkey"));
  ASSIGN_OR_RETURN(out.alg, JsonString(object, "alg", "tee-pubkey"));
  if (out.kty == "EC") {
    ASSIGN_OR_RETURN(out.crv, JsonString(object, "crv", "tee-pubkey"));
    if (out.crv != "P-256" && out.crv != "P-521") return Unsupported("the curve must be P-256 or P-521");
    if (out.alg != kEcdhEsA256Kw) return Unsupported("an EC key must have the alg ECDH-ES+A256KW");
    ASSIGN_OR_RETURN(out.x, Number(object, "x"));
    ASSIGN_OR_RETURN(out.y, Number(object, "y"));
    return out;
  }
  if (out.kty == "RSA") {
    if (out.alg != kRsaOaep256 && out.alg != kRsa15)
      return Unsupported("an RSA key must have the alg RSA-OAEP-256 or RSA1_5");
    ASSIGN_OR_RETURN(out.n, Number(object, "n"));
    ASSIGN_OR_RETURN(out.e, Number(object, "e"));
    return out;
  }
  return Unsupported("kty must be EC or RSA");
}

Result<crypto::PublicKey> JwkKey(const PublicJwk& jwk) {
  if (jwk.kty == "RSA") {
    ASSIGN_OR_RETURN(const Bytes n, Base64UrlDecode(jwk.n));
    ASSIGN_OR_RETURN(const Bytes e, Base64UrlDecode(jwk.e));
    return RsaKey(n, e);
  }
  if (jwk.kty != "EC" || (jwk.crv != "P-256" && jwk.crv != "P-521"))
    return Unsupported("kty must be EC (P-256, P-521) or RSA");
  ASSIGN_OR_RETURN(const Bytes x, Base64UrlDecode(jwk.x));
  ASSIGN_OR_RETURN(const Bytes y, Base64UrlDecode(jwk.y));
  if (x.size() != Width(jwk.crv) || y.size() != Width(jwk.crv)) {
    return Err("kbs.bad-key", "tee-pubkey", "x and y must have the curve's full width");
  }
  auto key = crypto::PublicKey::FromPoint(Curve(jwk.crv), Concat({x, y}));
  if (!key.ok()) return Err("kbs.bad-key", "tee-pubkey", key.error().text);
  return key;
}

Result<PublicJwk> MakeJwk(const crypto::PublicKey& key, std::string_view rsa_alg) {
  PublicJwk out;
  const crypto::KeyType type = key.type();
  if (type == crypto::KeyType::kP256 || type == crypto::KeyType::kP521) {
    const Bytes point = key.Point();
    const ByteView view(point);
    out.kty = "EC";
    out.crv = type == crypto::KeyType::kP256 ? "P-256" : "P-521";
    out.alg = kEcdhEsA256Kw;
    out.x = Base64UrlEncode(view.first(point.size() / 2));
    out.y = Base64UrlEncode(view.subspan(point.size() / 2));
    return out;
  }
  if (key.valid() && EVP_PKEY_is_a(key.raw(), "RSA") && EVP_PKEY_get_bits(key.raw()) >= kMinRsaBits) {
    if (rsa_alg != kRsaOaep256 && rsa_alg != kRsa15)
      return Unsupported("an RSA key must have the alg RSA-OAEP-256 or RSA1_5");
    out.kty = "RSA";
    out.alg = rsa_alg;
    out.n = RsaPart(key, OSSL_PKEY_PARAM_RSA_N);
    out.e = RsaPart(key, OSSL_PKEY_PARAM_RSA_E);
    return out;
  }
  return Unsupported("the key must be P-256, P-521, or RSA of 2048 bits or more");
}

}  // namespace ccgpu::kbs
