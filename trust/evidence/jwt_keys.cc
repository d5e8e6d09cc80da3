// JSON Web Key Sets.
#include <set>

#include "base/crypto/rsa.h"
#include "base/crypto/x509.h"
#include "base/encoding.h"
#include "trust/evidence/jwt.h"

namespace ccgpu::evidence {
namespace {

using crypto::KeyType;

constexpr size_t kMaxKeys = 64, kMaxSet = 1u << 20;

Error Bad(size_t index, std::string text) {
  return Err("token.bad-jwks", "keys[" + std::to_string(index) + "]", std::move(text));
}

struct Curve {
  std::string_view name;
  KeyType type;
  size_t width;
};
constexpr Curve kCurves[] = {
    {"P-256", KeyType::kP256, 32}, {"P-384", KeyType::kP384, 48}, {"P-521", KeyType::kP521, 66}};

Result<Bytes> Part(const Json& jwk, const char* name, size_t index) {
  const auto it = jwk.find(name);
  if (it == jwk.end() || !it->is_string()) return Bad(index, std::string("lacks ") + name);
  auto bytes = Base64UrlDecode(it->get<std::string>());
  if (!bytes.ok() || bytes->empty()) return Bad(index, std::string(name) + " is not base64url");
  return bytes;
}

Result<crypto::PublicKey> EcKey(const Json& jwk, size_t index) {
  const std::string name = jwk.contains("crv") && jwk["crv"].is_string() ? jwk["crv"].get<std::string>() : "";
  for (const Curve& curve : kCurves) {
    if (curve.name != name) continue;
    ASSIGN_OR_RETURN(const Bytes x, Part(jwk, "x", index));
    ASSIGN_OR_RETURN(const Bytes y, Part(jwk, "y", index));
    if (x.size() != curve.width || y.size() != curve.width)
      return Bad(index, "x and y do not have the curve's full width");
    auto key = crypto::PublicKey::FromPoint(curve.type, Concat({x, y}));
    if (!key.ok()) return Bad(index, key.error().text);
    return key;
  }
  return Bad(index, "its curve \"" + name + "\" is not P-256, P-384 or P-521");
}

// What the key's numbers say, or an invalid key when it has none and only a certificate.
Result<crypto::PublicKey> NumbersKey(const Json& jwk, const std::string& kty, size_t index) {
  if (kty == "EC" && jwk.contains("x")) return EcKey(jwk, index);
  if (kty == "RSA" && jwk.contains("n")) {
    ASSIGN_OR_RETURN(const Bytes n, Part(jwk, "n", index));
    ASSIGN_OR_RETURN(const Bytes e, Part(jwk, "e", index));
    auto key = crypto::RsaFromNumbers(n, e);
    if (!key.ok()) return Bad(index, key.error().text);
    return key;
  }
  return crypto::PublicKey();
}

Result<crypto::PublicKey> KeyOf(const Json& jwk, const std::string& kty, size_t index) {
  ASSIGN_OR_RETURN(crypto::PublicKey key, NumbersKey(jwk, kty, index));
  const auto x5c = jwk.find("x5c");
  if (x5c == jwk.end()) return key.valid() ? Result<crypto::PublicKey>(key) : Bad(index, "holds no key");
  if (!x5c->is_array() || x5c->empty() || !x5c->front().is_string())
    return Bad(index, "x5c is not a list of certificates");
  const auto der = Base64Decode(x5c->front().get<std::string>());
  const auto certificate = der.ok() ? crypto::Certificate::FromDer(*der) : Result<crypto::Certificate>(der.error());
  if (!certificate.ok()) return Bad(index, "x5c does not hold a certificate");
  const crypto::PublicKey certified = certificate->key();
  if (!certified.valid() || (key.valid() && !(key == certified)))
    return Bad(index, "its certificate is for another key than its numbers");
  return certified;
}

std::string Member(const Json& jwk, const char* name) {
  const auto it = jwk.find(name);
  return it != jwk.end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace

Result<std::vector<Jwk>> ParseJwks(std::string_view json) {
  if (json.size() > kMaxSet) return Err("token.bad-jwks", "JWKS", "is larger than 1 MiB");
  auto set = ParseJson(json, "JWKS", 8);
  if (!set.ok()) return Err("token.bad-jwks", "JWKS", set.error().text);
  const auto list = set->is_object() ? set->find("keys") : set->end();
  if (!set->is_object() || list == set->end() || !list->is_array() || list->size() > kMaxKeys)
    return Err("token.bad-jwks", "JWKS", "is not an object with a list \"keys\" of at most 64 keys");
  std::vector<Jwk> out;
  std::set<std::string> ids;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& jwk = (*list)[i];
    if (!jwk.is_object()) return Bad(i, "is not an object");
    const std::string kty = Member(jwk, "kty"), use = Member(jwk, "use");
    if (jwk.contains("d") || jwk.contains("p") || kty == "oct")
      return Bad(i, "is a secret key: a set for verifiers holds public keys only");
    if ((kty != "EC" && kty != "RSA") || (!use.empty() && use != "sig")) continue;
    Jwk key;
    ASSIGN_OR_RETURN(key.key, KeyOf(jwk, kty, i));
    key.key_id = Member(jwk, "kid");
    key.algorithm = Member(jwk, "alg");
    if (!key.key_id.empty() && !ids.insert(key.key_id).second) return Bad(i, "has the kid of another key");
    out.push_back(std::move(key));
  }
  return out;
}

std::string JwkThumbprint(const crypto::PublicKey& key) {
  for (const Curve& curve : kCurves) {
    if (!key.valid() || key.type() != curve.type) continue;
    const Bytes point = key.Point();
    // The members that RFC 7638 wants, in its order.
    const std::string text = R"({"crv":")" + std::string(curve.name) + R"(","kty":"EC","x":")" +
                             Base64UrlEncode(ByteView(point).first(curve.width)) + R"(","y":")" +
                             Base64UrlEncode(ByteView(point).subspan(curve.width)) + "\"}";
    return Base64UrlEncode(crypto::Sha256(AsBytes(text)));
  }
  return "";
}

std::string MakeJwks(const crypto::PublicKey& key) {
  Json keys = Json::array();
  const auto algorithm = DefaultAlgorithm(key);
  for (const Curve& curve : kCurves) {
    if (!algorithm.ok() || key.type() != curve.type) continue;
    const Bytes point = key.Point();
    keys.push_back({{"kty", "EC"},
                    {"crv", curve.name},
                    {"x", Base64UrlEncode(ByteView(point).first(curve.width))},
                    {"y", Base64UrlEncode(ByteView(point).subspan(curve.width))},
                    {"kid", JwkThumbprint(key)},
                    {"alg", JwsName(*algorithm)},
                    {"use", "sig"}});
  }
  return Json{{"keys", keys}}.dump();
}

}  // namespace ccgpu::evidence
