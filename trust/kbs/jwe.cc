#include "trust/kbs/jwe.h"

#include "base/crypto/aead.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/jcs.h"
#include "trust/kbs/jwe_crypto.h"

namespace ccgpu::kbs {
namespace {

constexpr std::string_view kContentAlgorithm = "A256GCM";
constexpr size_t kMaxJwe = 64u << 20;

Error BadJwe(std::string_view part, std::string text) {
  return Err("kbs.bad-jwe", part.empty() ? "jwe" : "jwe." + std::string(part), std::move(text));
}
Error CannotDecrypt() {
  return Err("kbs.jwe-decrypt", "jwe", "does not decrypt with this agent's key: changed, or meant for another agent");
}

// The only form in which this project writes a header, and the only one it takes.
std::string HeaderText(std::string_view alg, const PublicJwk* epk) {
  std::string out = R"({"alg":)" + JsonQuoted(alg) + R"(,"enc":")" + std::string(kContentAlgorithm) + '"';
  if (epk)
    out += R"(,"epk":{"crv":)" + JsonQuoted(epk->crv) + R"(,"kty":"EC","x":)" + JsonQuoted(epk->x) + R"(,"y":)" +
           JsonQuoted(epk->y) + "}";
  return out + "}";
}

struct Wrapped {
  std::string header;
  Bytes encrypted_key;
};

Result<Wrapped> WrapKey(const PublicJwk& to, ByteView content_key) {
  ASSIGN_OR_RETURN(const crypto::PublicKey recipient, JwkKey(to));
  Wrapped out;
  if (to.kty == "RSA") {
    out.header = HeaderText(to.alg, nullptr);
    ASSIGN_OR_RETURN(out.encrypted_key, RsaEncrypt(recipient, to.alg == kRsaOaep256, content_key));
    return out;
  }
  const crypto::PrivateKey ephemeral = crypto::PrivateKey::Generate(recipient.type());
  ASSIGN_OR_RETURN(const PublicJwk epk, MakeJwk(ephemeral.public_key()));
  out.header = HeaderText(to.alg, &epk);
  ASSIGN_OR_RETURN(Bytes secret, ephemeral.Agree(recipient));
  Bytes kek = ConcatKdf(secret);
  out.encrypted_key = AesWrap(kek, content_key);
  Wipe(secret);
  Wipe(kek);
  return out;
}

Result<Bytes> UnwrapEcdh(const TeeKey& key, const Json& header, ByteView encrypted_key, std::string_view header_text) {
  ASSIGN_OR_RETURN(const Json epk_json, JsonObject(header, "epk", "jwe.protected"));
  PublicJwk epk;
  epk.kty = "EC";
  epk.alg = kEcdhEsA256Kw;
  ASSIGN_OR_RETURN(epk.crv, JsonString(epk_json, "crv", "jwe.protected.epk"));
  ASSIGN_OR_RETURN(epk.x, JsonString(epk_json, "x", "jwe.protected.epk"));
  ASSIGN_OR_RETURN(epk.y, JsonString(epk_json, "y", "jwe.protected.epk"));
  if (epk.crv != key.jwk.crv) return BadJwe("protected.epk", "is on another curve than this agent's key");
  if (header_text != HeaderText(key.jwk.alg, &epk))
    return BadJwe("protected", "is not in the one canonical form (alg, enc, epk; no spaces)");
  auto ephemeral = JwkKey(epk);
  if (!ephemeral.ok()) return BadJwe("protected.epk", ephemeral.error().text);
  ASSIGN_OR_RETURN(Bytes secret, key.key.Agree(*ephemeral));
  Bytes kek = ConcatKdf(secret);
  auto content_key = AesUnwrap(kek, encrypted_key);
  Wipe(secret);
  Wipe(kek);
  return content_key;
}

Result<Bytes> UnwrapRsa(const TeeKey& key, ByteView encrypted_key, std::string_view header_text) {
  if (header_text != HeaderText(key.jwk.alg, nullptr))
    return BadJwe("protected", "is not in the one canonical form (alg, enc; no spaces)");
  auto content_key = RsaDecrypt(key.key, key.jwk.alg == kRsaOaep256, encrypted_key);
  if (content_key.ok() && content_key->size() == crypto::kAeadKeySize) return content_key;
  // A broken padding goes the same way as a wrong tag (Bleichenbacher, RFC 7516 11.5).
  return crypto::SystemRandom().Take(crypto::kAeadKeySize);
}

Result<Bytes> Part(const Json& jwe, std::string_view name) {
  ASSIGN_OR_RETURN(const std::string text, JsonString(jwe, name, "jwe"));
  auto bytes = Base64UrlDecode(text);
  if (!bytes.ok()) return BadJwe(name, bytes.error().text);
  return bytes;
}

}  // namespace

TeeKey TeeKey::Generate() {
  auto key = From(crypto::PrivateKey::Generate(crypto::KeyType::kP256));
  return std::move(key).value();
}

Result<TeeKey> TeeKey::From(crypto::PrivateKey key, std::string_view rsa_alg) {
  ASSIGN_OR_RETURN(PublicJwk jwk, MakeJwk(key.public_key(), rsa_alg));
  return TeeKey{std::move(key), std::move(jwk)};
}

Result<std::string> EncryptJwe(const PublicJwk& to, ByteView plaintext, crypto::Random& random) {
  Bytes content_key = random.Take(crypto::kAeadKeySize);
  const Bytes iv = random.Take(crypto::kAeadNonceSize);
  auto wrapped = WrapKey(to, content_key);
  if (!wrapped.ok()) {
    Wipe(content_key);
    return wrapped.error();
  }
  const std::string protected_text = Base64UrlEncode(AsBytes(wrapped->header));
  const Bytes sealed = crypto::AeadSeal(content_key, iv, AsBytes(protected_text), plaintext);
  Wipe(content_key);
  const ByteView view(sealed);
  return R"({"protected":")" + protected_text + R"(","encrypted_key":")" + Base64UrlEncode(wrapped->encrypted_key) +
         R"(","iv":")" + Base64UrlEncode(iv) + R"(","ciphertext":")" + Base64UrlEncode(view.first(plaintext.size())) +
         R"(","tag":")" + Base64UrlEncode(view.subspan(plaintext.size())) + "\"}";
}

Result<Bytes> DecryptJwe(const TeeKey& key, std::string_view json) {
  if (json.size() > kMaxJwe) return BadJwe("", "is larger than 64 MiB");
  ASSIGN_OR_RETURN(const Json jwe, ParseJson(json, "jwe"));
  if (!jwe.is_object() || jwe.size() != 5)
    return BadJwe("", "must have exactly protected, encrypted_key, iv, ciphertext, tag");
  ASSIGN_OR_RETURN(const std::string protected_text, JsonString(jwe, "protected", "jwe"));
  ASSIGN_OR_RETURN(const Bytes encrypted_key, Part(jwe, "encrypted_key"));
  ASSIGN_OR_RETURN(const Bytes iv, Part(jwe, "iv"));
  ASSIGN_OR_RETURN(const Bytes ciphertext, Part(jwe, "ciphertext"));
  ASSIGN_OR_RETURN(const Bytes tag, Part(jwe, "tag"));
  ASSIGN_OR_RETURN(const Bytes header_bytes, Part(jwe, "protected"));
  if (iv.size() != crypto::kAeadNonceSize || tag.size() != crypto::kAeadTagSize)
    return BadJwe("iv", "must have 12 bytes, and tag 16");
  ASSIGN_OR_RETURN(const Json header, ParseJson(AsText(header_bytes), "jwe.protected"));
  ASSIGN_OR_RETURN(const std::string alg, JsonString(header, "alg", "jwe.protected"));
  if (alg != key.jwk.alg) return BadJwe("protected.alg", "is \"" + alg + "\"; this agent's key is for " + key.jwk.alg);
  auto content_key = key.jwk.kty == "RSA" ? UnwrapRsa(key, encrypted_key, AsText(header_bytes))
                                          : UnwrapEcdh(key, header, encrypted_key, AsText(header_bytes));
  if (!content_key.ok()) return content_key.error().code == "kbs.jwe-decrypt" ? CannotDecrypt() : content_key.error();
  if (content_key->size() != crypto::kAeadKeySize) return CannotDecrypt();
  auto plaintext = crypto::AeadOpen(*content_key, iv, AsBytes(protected_text), Concat({ciphertext, tag}));
  Wipe(*content_key);
  if (!plaintext.ok()) return CannotDecrypt();
  return plaintext;
}

}  // namespace ccgpu::kbs
