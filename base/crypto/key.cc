#include "base/crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstdlib>

#include "base/crypto/evp.h"

namespace ccgpu::crypto {
namespace {

using KeyPtr = std::shared_ptr<EVP_PKEY>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using SigPtr = std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)>;

KeyPtr Own(EVP_PKEY* key) { return KeyPtr(key, EVP_PKEY_free); }

const char* CurveName(KeyType type) {
  if (type == KeyType::kP256) return "P-256";
  if (type == KeyType::kP384) return "P-384";
  if (type == KeyType::kP521) return "P-521";
  return nullptr;
}

size_t CurveWidth(KeyType type) {
  if (type == KeyType::kP256) return 32;
  if (type == KeyType::kP384) return 48;
  if (type == KeyType::kP521) return 66;
  return 0;
}

KeyType TypeOf(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return KeyType::kEd25519;
  if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) {
    if (EVP_PKEY_get_bits(key) == 2048) return KeyType::kRsa2048;
    if (EVP_PKEY_get_bits(key) == 3072) return KeyType::kRsa3072;
    if (EVP_PKEY_get_bits(key) == 4096) return KeyType::kRsa4096;
    return KeyType::kOther;
  }
  if (!EVP_PKEY_is_a(key, "EC")) return KeyType::kOther;
  // A key that spells its curve out instead of naming it could bring another base point (CVE-2020-0601).
  char encoding[32] = "";
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, nullptr) == 1 &&
      std::string_view(encoding) != OSSL_PKEY_EC_ENCODING_GROUP) {
    return KeyType::kOther;
  }
  int explicit_parameters = 0;
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_parameters) == 1 &&
      explicit_parameters) {
    return KeyType::kOther;
  }
  char group[64] = "";
  if (EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1) return KeyType::kOther;
  const std::string_view name = group;
  if (name == "prime256v1" || name == "P-256") return KeyType::kP256;
  if (name == "secp384r1" || name == "P-384") return KeyType::kP384;
  if (name == "secp521r1" || name == "P-521") return KeyType::kP521;
  return KeyType::kOther;
}

std::string DrainBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

bool Verify(EVP_PKEY* key, Hash hash, ByteView data, ByteView signature, bool pss) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &options, Md(hash), nullptr, key) != 1) return false;
  if (pss && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
              EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  // Only 1 is success: 0 is a wrong signature and a negative number a broken one.
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
}

Bytes Sign(EVP_PKEY* key, Hash hash, ByteView data, bool pss) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  size_t size = 0;
  if (EVP_DigestSignInit(context.get(), &options, Md(hash), nullptr, key) != 1) std::abort();
  if (pss && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
              EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    std::abort();
  }
  if (EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) != 1) std::abort();
  Bytes out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, data.data(), data.size()) != 1) std::abort();
  out.resize(size);
  return out;
}

Result<KeyPtr> KeyFromParams(KeyType curve, ByteView public_point, ByteView scalar) {
  const size_t width = CurveWidth(curve);
  if (width == 0) return Err("crypto.bad-key", "key", "is not on a supported curve");
  std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr),
                                                     BN_free);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, CurveName(curve), 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, public_point.data(), public_point.size());
  if (!scalar.empty()) OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get());
  std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                 OSSL_PARAM_free);
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, scalar.empty() ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR, params.get()) !=
          1) {
    return Err("crypto.bad-key", "key", "the point is not on the curve");
  }
  KeyPtr owned = Own(key);
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr),
                                                                    EVP_PKEY_CTX_free);
  // The quick check is the whole one here: the curves that we name have cofactor 1, so every point on them will do.
  if (EVP_PKEY_public_check_quick(check.get()) != 1)
    return Err("crypto.bad-key", "key", "the point is not on the curve");
  return owned;
}

}  // namespace

Result<PublicKey> PublicKey::FromDer(ByteView der) {
  const uint8_t* at = der.data();
  EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size()));
  if (!key) return Err("crypto.bad-key", "public key", "is not a DER SubjectPublicKeyInfo");
  KeyPtr owned = Own(key);
  if (at != der.data() + der.size()) return Err("crypto.bad-key", "public key", "has bytes after its end");
  return PublicKey(owned);
}

Result<PublicKey> PublicKey::FromPem(std::string_view pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr);
  if (!key) return Err("crypto.bad-key", "public key", "is not PEM");
  return PublicKey(Own(key));
}

Result<PublicKey> PublicKey::FromPoint(KeyType curve, ByteView point) {
  if (point.size() != 2 * CurveWidth(curve))
    return Err("crypto.bad-key", "public key", "the point has the wrong length");
  static constexpr uint8_t kUncompressed[] = {4};
  ASSIGN_OR_RETURN(KeyPtr key, KeyFromParams(curve, Concat({kUncompressed, point}), {}));
  return PublicKey(key);
}

KeyType PublicKey::type() const { return key_ ? TypeOf(key_.get()) : KeyType::kOther; }

Bytes PublicKey::Der() const {
  uint8_t* out = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &out);
  if (size < 0) std::abort();
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

std::string PublicKey::Pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PUBKEY(bio.get(), key_.get());
  return DrainBio(bio.get());
}

Bytes PublicKey::Point() const {
  const size_t width = CurveWidth(type());
  if (width == 0) return {};
  uint8_t buffer[200];
  size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, buffer, sizeof buffer, &size) !=
      1)
    std::abort();
  if (size == 2 * width + 1 && buffer[0] == 4) return Bytes(buffer + 1, buffer + size);
  BIGNUM *x = nullptr, *y = nullptr;
  if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
      EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
    std::abort();
  Bytes out(2 * width);
  BN_bn2binpad(x, out.data(), static_cast<int>(width));
  BN_bn2binpad(y, out.data() + width, static_cast<int>(width));
  BN_free(x);
  BN_free(y);
  return out;
}

bool PublicKey::operator==(const PublicKey& other) const {
  return key_ && other.key_ && EVP_PKEY_eq(key_.get(), other.key_.get()) == 1;
}

bool PublicKey::VerifyRaw(Hash hash, ByteView data, ByteView raw_signature) const {
  const size_t width = CurveWidth(type());
  if (width == 0 || raw_signature.size() != 2 * width) return false;
  auto der = EcdsaRawToDer(raw_signature);
  return der.ok() && Verify(key_.get(), hash, data, *der, false);
}

bool PublicKey::VerifyDer(Hash hash, ByteView data, ByteView der_signature) const {
  return CurveWidth(type()) != 0 && Verify(key_.get(), hash, data, der_signature, false);
}

bool PublicKey::VerifyPss(Hash hash, ByteView data, ByteView signature) const {
  return key_ && EVP_PKEY_is_a(key_.get(), "RSA") && Verify(key_.get(), hash, data, signature, true);
}

PrivateKey PrivateKey::Generate(KeyType type) {
  EVP_PKEY* key = nullptr;
  if (const char* curve = CurveName(type)) key = EVP_EC_gen(curve);
  else if (type == KeyType::kRsa2048) key = EVP_RSA_gen(2048);
  else if (type == KeyType::kRsa3072) key = EVP_RSA_gen(3072);
  else if (type == KeyType::kRsa4096) key = EVP_RSA_gen(4096);
  else if (type == KeyType::kEd25519) key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (!key) std::abort();
  return PrivateKey(Own(key));
}

Result<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
  if (!key) return Err("crypto.bad-key", "private key", "is not PEM (PKCS#8, unencrypted)");
  return PrivateKey(Own(key));
}

Result<PrivateKey> PrivateKey::FromScalar(KeyType curve, ByteView scalar) {
  if (CurveWidth(curve) == 0) return Err("crypto.bad-key", "private key", "is not on a supported curve");
  std::unique_ptr<EC_GROUP, decltype(&EC_GROUP_free)> group(
      EC_GROUP_new_by_curve_name(EC_curve_nist2nid(CurveName(curve))), EC_GROUP_free);
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr),
                                                     BN_free);
  std::unique_ptr<EC_POINT, decltype(&EC_POINT_free)> point(EC_POINT_new(group.get()), EC_POINT_free);
  if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0)
    return Err("crypto.bad-key", "private key", "is not in 1 to the curve's order less 1");
  if (EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) != 1)
    return Err("crypto.bad-key", "private key", "is not a scalar of the curve");
  Bytes encoded(2 * CurveWidth(curve) + 1);
  EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, encoded.data(), encoded.size(), nullptr);
  ASSIGN_OR_RETURN(KeyPtr key, KeyFromParams(curve, encoded, scalar));
  return PrivateKey(key);
}

std::string PrivateKey::Pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return DrainBio(bio.get());
}

PublicKey PrivateKey::public_key() const {
  // A copy without the private half, so that handing out the public key can never leak it. From its point where it has
  // one: reading DER costs as much as a signature.
  const KeyType type = TypeOf(key_.get());
  if (CurveWidth(type) != 0) {
    if (auto copy = PublicKey::FromPoint(type, PublicKey(key_).Point()); copy.ok()) return *std::move(copy);
  }
  auto key = PublicKey::FromDer(PublicKey(key_).Der());
  return std::move(key).value();
}

Bytes PrivateKey::SignRaw(Hash hash, ByteView data) const {
  auto raw = EcdsaDerToRaw(Sign(key_.get(), hash, data, false), CurveWidth(TypeOf(key_.get())));
  return std::move(raw).value();
}
Bytes PrivateKey::SignDer(Hash hash, ByteView data) const { return Sign(key_.get(), hash, data, false); }
Bytes PrivateKey::SignPss(Hash hash, ByteView data) const { return Sign(key_.get(), hash, data, true); }

Result<Bytes> PrivateKey::Agree(const PublicKey& peer) const {
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key_.get(), nullptr),
                                                                      EVP_PKEY_CTX_free);
  size_t size = 0;
  if (EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), peer.raw()) != 1 ||
      EVP_PKEY_derive(context.get(), nullptr, &size) != 1) {
    return Err("crypto.bad-key", "key agreement", "the peer's key does not fit ours");
  }
  Bytes secret(size);
  if (EVP_PKEY_derive(context.get(), secret.data(), &size) != 1)
    return Err("crypto.bad-key", "key agreement", "failed");
  secret.resize(size);
  return secret;
}

Result<Bytes> EcdsaDerToRaw(ByteView der, size_t width) {
  const uint8_t* at = der.data();
  SigPtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  if (!signature || at != der.data() + der.size()) return Err("crypto.bad-signature", "signature", "is not DER");
  Bytes raw(2 * width);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), static_cast<int>(width)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + width, static_cast<int>(width)) < 0) {
    return Err("crypto.bad-signature", "signature", "is too long for its curve");
  }
  return raw;
}

Result<Bytes> EcdsaRawToDer(ByteView raw) {
  if (raw.empty() || raw.size() % 2 != 0) return Err("crypto.bad-signature", "signature", "has the wrong length");
  const int width = static_cast<int>(raw.size() / 2);
  SigPtr signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(raw.data(), width, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + width, width, nullptr);
  ECDSA_SIG_set0(signature.get(), r, s);
  uint8_t* out = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &out);
  if (size < 0) return Err("crypto.bad-signature", "signature", "cannot be encoded");
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

}  // namespace ccgpu::crypto
