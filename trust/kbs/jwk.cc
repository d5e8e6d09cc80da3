#include "trust/kbs/jwk.h"

#include <openssl/evp.h>

#include "base/crypto/rsa.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/jcs.h"

namespace ccgpu::kbs {
namespace {

constexpr size_t kMaxNumberText = 1400;  // base64url of 8192 bits
constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;

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
    auto key = crypto::RsaFromNumbers(n, e, kMaxRsaBits);
    if (!key.ok()) return Unsupported(key.error().text);
    return key;
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
    const auto [n, e] = crypto::RsaNumbers(key);
    out.n = Base64UrlEncode(n);
    out.e = Base64UrlEncode(e);
    return out;
  }
  return Unsupported("the key must be P-256, P-521, or RSA of 2048 bits or more");
}

}  // namespace ccgpu::kbs
