#include "trust/evidence/jwt.h"

#include "base/crypto/rsa.h"
#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

using crypto::Hash;
using crypto::KeyType;

constexpr int kMaxDepth = 32;
constexpr size_t kMaxChain = 8;

Error Bad(std::string text) { return Err("token.malformed", "token", std::move(text)); }

struct Algorithm {
  std::string_view name;
  Hash hash;
  KeyType curve;  // kOther: RSA
};

Algorithm Facts(JwsAlgorithm algorithm) {
  switch (algorithm) {
    case JwsAlgorithm::kEs256: return {"ES256", Hash::kSha256, KeyType::kP256};
    case JwsAlgorithm::kEs384: return {"ES384", Hash::kSha384, KeyType::kP384};
    case JwsAlgorithm::kEs512: return {"ES512", Hash::kSha512, KeyType::kP521};
    case JwsAlgorithm::kPs256: return {"PS256", Hash::kSha256, KeyType::kOther};
    case JwsAlgorithm::kPs384: return {"PS384", Hash::kSha384, KeyType::kOther};
    case JwsAlgorithm::kRs256: break;
  }
  return {"RS256", Hash::kSha256, KeyType::kOther};
}

bool IsRsa(KeyType type) { return type == KeyType::kRsa2048 || type == KeyType::kRsa3072 || type == KeyType::kRsa4096; }

Result<Json> Object(std::string_view encoded, const char* what) {
  auto bytes = Base64UrlDecode(encoded);
  if (!bytes.ok()) return Bad(std::string("its ") + what + " is not base64url: " + bytes.error().text);
  auto json = ParseJson(AsText(*bytes), what, kMaxDepth);
  if (!json.ok()) return Bad(std::string("its ") + what + " " + json.error().text);
  if (!json->is_object()) return Bad(std::string("its ") + what + " is not a JSON object");
  return json;
}

Status ReadHeader(Jwt& out) {
  const Json& header = out.header;
  if (header.contains("crit") || header.contains("b64")) {
    return Err(
        "token.critical", "token",
        "its header wants an extension (crit, b64); this program knows none, so it must refuse (RFC 7515 4.1.11)");
  }
  const auto text = [&](const char* name, std::string& to) {
    const auto it = header.find(name);
    if (it == header.end()) return true;
    if (it->is_string()) to = it->get<std::string>();
    return it->is_string();
  };
  if (!text("alg", out.algorithm) || out.algorithm.empty()) return Bad("its header does not name the algorithm (alg)");
  if (!text("kid", out.key_id)) return Bad("its header's kid is not a string");
  if (const auto x5c = header.find("x5c"); x5c != header.end()) {
    if (!x5c->is_array() || x5c->empty() || x5c->size() > kMaxChain)
      return Bad("its header's x5c is not a list of 1 to 8 certificates");
    for (const Json& item : *x5c) {
      auto der = item.is_string() ? Base64Decode(item.get<std::string>()) : Result<Bytes>(Bad("x5c"));
      if (!der.ok()) return Bad("its header's x5c is not base64");
      out.x5c.push_back(std::move(*der));
    }
  }
  return Ok();
}

}  // namespace

std::string_view JwsName(JwsAlgorithm algorithm) { return Facts(algorithm).name; }

bool VerifyJws(JwsAlgorithm algorithm, const crypto::PublicKey& key, ByteView data, ByteView signature) {
  const Algorithm facts = Facts(algorithm);
  if (!key.valid()) return false;
  if (facts.curve != KeyType::kOther) return key.type() == facts.curve && key.VerifyRaw(facts.hash, data, signature);
  if (!IsRsa(key.type())) return false;
  if (algorithm == JwsAlgorithm::kRs256) return crypto::VerifyRsaPkcs1(key, facts.hash, data, signature);
  return key.VerifyPss(facts.hash, data, signature);
}

Result<JwsAlgorithm> DefaultAlgorithm(const crypto::PublicKey& key) {
  const KeyType type = key.valid() ? key.type() : KeyType::kOther;
  if (type == KeyType::kP256) return JwsAlgorithm::kEs256;
  if (type == KeyType::kP384) return JwsAlgorithm::kEs384;
  if (type == KeyType::kP521) return JwsAlgorithm::kEs512;
  if (IsRsa(type)) return JwsAlgorithm::kPs256;
  return Err("token.key-type", "key",
             "signs no tokens here: use P-256, P-384, P-521 or RSA of 2048, 3072 or 4096 bits");
}

Result<Jwt> ParseJwt(std::string_view token) {
  if (token.size() > kMaxTokenSize) return Bad("is larger than 1 MiB");
  const size_t first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return Bad("is not three parts with dots between them");
  Jwt out;
  out.signed_text = token.substr(0, last);
  out.claims_offset = first + 1;
  out.signature_offset = last + 1;
  ASSIGN_OR_RETURN(out.header, Object(token.substr(0, first), "header"));
  ASSIGN_OR_RETURN(out.claims, Object(token.substr(first + 1, last - first - 1), "claims"));
  auto signature = Base64UrlDecode(token.substr(last + 1));
  if (!signature.ok()) return Bad("its signature is not base64url: " + signature.error().text);
  out.signature = std::move(*signature);
  RETURN_IF_ERROR(ReadHeader(out));
  return out;
}

std::string MakeJwt(JwsAlgorithm algorithm, const crypto::PrivateKey& key, const Json& header,
                    std::string_view claims) {
  const Algorithm facts = Facts(algorithm);
  const KeyType type = key.valid() ? key.public_key().type() : KeyType::kOther;
  if (facts.curve == KeyType::kOther ? !IsRsa(type) : type != facts.curve) return "";
  std::string token = Base64UrlEncode(AsBytes(header.dump())) + "." + Base64UrlEncode(AsBytes(claims));
  const ByteView data = AsBytes(token);
  const Bytes signature = facts.curve != KeyType::kOther      ? key.SignRaw(facts.hash, data)
                          : algorithm == JwsAlgorithm::kRs256 ? crypto::SignRsaPkcs1(key, facts.hash, data)
                                                              : key.SignPss(facts.hash, data);
  return token + "." + Base64UrlEncode(signature);
}

}  // namespace ccgpu::evidence
