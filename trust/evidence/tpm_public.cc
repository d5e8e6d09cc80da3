// TPMT_PUBLIC, the keys that it describes, and signatures under them.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/encoding.h"
#include "trust/evidence/tpm_quote.h"

namespace ccgpu::evidence {
namespace {

constexpr uint32_t kDefaultExponent = 65537;

Error Bad(const std::string& text) { return Err("tpm.ak-malformed", "TPM public area", text); }

Bytes Sized(Reader& in) { return ToBytes(in.Take(in.BigU16())); }
void PutSized(Writer& out, ByteView bytes) { out.BigU16(bytes.size()).Raw(bytes); }

Bytes Padded(ByteView number, size_t width) {
  while (number.size() > width && number[0] == 0) number = number.subspan(1);
  if (number.size() > width) return {};
  Bytes out(width - number.size());
  Append(out, number);
  return out;
}

const EVP_MD* Md(uint16_t hash) {
  switch (hash) {
    case tpm_alg::kSha1: return EVP_sha1();
    case tpm_alg::kSha256: return EVP_sha256();
    case tpm_alg::kSha384: return EVP_sha384();
    case tpm_alg::kSha512: return EVP_sha512();
    default: return nullptr;
  }
}

struct Curve {
  uint16_t id;
  crypto::KeyType type;
  size_t width;
};
constexpr Curve kCurves[] = {{tpm_curve::kP256, crypto::KeyType::kP256, 32},
                             {tpm_curve::kP384, crypto::KeyType::kP384, 48},
                             {tpm_curve::kP521, crypto::KeyType::kP521, 66}};

size_t WidthOf(crypto::KeyType type) {
  for (const Curve& curve : kCurves) {
    if (curve.type == type) return curve.width;
  }
  return 0;
}

Result<crypto::PublicKey> RsaKey(ByteView modulus, uint32_t exponent) {
  using Builder = std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)>;
  using Params = std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)>;
  using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
  using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
  const Number n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), BN_free);
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_uint32(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent);
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()), OSSL_PARAM_free);
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Bad("the RSA key cannot be used");
  }
  return crypto::PublicKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

}  // namespace

Result<crypto::PublicKey> TpmPublic::Key() const {
  if (type == tpm_alg::kRsa) {
    if (rsa_modulus.size() * 8 != rsa_bits || rsa_modulus.empty() || rsa_modulus[0] < 0x80)
      return Bad("the modulus has not the " + std::to_string(rsa_bits) + " bits that the area says");
    if (rsa_exponent != 0 && rsa_exponent != kDefaultExponent) return Bad("the RSA exponent is not 65537");
    return RsaKey(rsa_modulus, kDefaultExponent);
  }
  for (const Curve& known : kCurves) {
    if (known.id != curve) continue;
    const Bytes px = Padded(x, known.width), py = Padded(y, known.width);
    if (px.empty() || py.empty()) return Bad("a coordinate is longer than its curve");
    auto key = crypto::PublicKey::FromPoint(known.type, Concat({px, py}));
    if (!key.ok()) return Bad(key.error().text);
    return key;
  }
  return Bad("the curve 0x" + HexEncode(Writer().BigU16(curve).bytes()) + " is not known");
}

Result<TpmPublic> ParseTpmPublic(ByteView area) {
  // A TPM2B_PUBLIC begins with its size, a TPMT_PUBLIC with an algorithm number far below any real size.
  if (area.size() > 2 && (size_t{area[0]} << 8 | area[1]) == area.size() - 2) area = area.subspan(2);
  Reader in(area);
  TpmPublic out;
  out.type = in.BigU16();
  out.name_hash = in.BigU16();
  out.attributes = in.BigU32();
  out.policy = Sized(in);
  if (!in.ok() || (out.type != tpm_alg::kRsa && out.type != tpm_alg::kEcc)) return Bad("is not of an RSA or ECC key");
  out.symmetric = in.BigU16();
  if (out.symmetric != tpm_alg::kNull) {
    out.symmetric_bits = in.BigU16();
    out.symmetric_mode = in.BigU16();
  }
  out.scheme = in.BigU16();
  out.scheme_hash = 0;
  if (out.scheme == tpm_alg::kRsaSsa || out.scheme == tpm_alg::kRsaPss || out.scheme == tpm_alg::kEcDsa) {
    out.scheme_hash = in.BigU16();
  } else if (out.scheme != tpm_alg::kNull) {
    return Bad("its scheme 0x" + HexEncode(Writer().BigU16(out.scheme).bytes()) + " is none for signing quotes");
  }
  if (out.type == tpm_alg::kRsa) {
    out.rsa_bits = in.BigU16();
    out.rsa_exponent = in.BigU32();
    out.rsa_modulus = Sized(in);
  } else {
    out.curve = in.BigU16();
    out.kdf = in.BigU16();
    if (out.kdf != tpm_alg::kNull) out.kdf_hash = in.BigU16();
    out.x = Sized(in);
    out.y = Sized(in);
  }
  if (!in.AtEnd()) return Bad("does not end where it says");
  return out;
}

Bytes EncodeTpmPublic(const TpmPublic& a) {
  Writer out;
  out.BigU16(a.type).BigU16(a.name_hash).BigU32(a.attributes);
  PutSized(out, a.policy);
  out.BigU16(a.symmetric);
  if (a.symmetric != tpm_alg::kNull) out.BigU16(a.symmetric_bits).BigU16(a.symmetric_mode);
  out.BigU16(a.scheme);
  if (a.scheme != tpm_alg::kNull) out.BigU16(a.scheme_hash);
  if (a.type == tpm_alg::kRsa) {
    out.BigU16(a.rsa_bits).BigU32(a.rsa_exponent);
    PutSized(out, a.rsa_modulus);
  } else {
    out.BigU16(a.curve).BigU16(a.kdf);
    if (a.kdf != tpm_alg::kNull) out.BigU16(a.kdf_hash);
    PutSized(out, a.x);
    PutSized(out, a.y);
  }
  return out.Finish();
}

Bytes TpmName(const TpmPublic& area) {
  return Concat({Writer().BigU16(area.name_hash).bytes(), TpmDigest(area.name_hash, EncodeTpmPublic(area))});
}

bool VerifyTpmSignature(const crypto::PublicKey& key, const TpmSignature& signature, ByteView message) {
  const EVP_MD* md = Md(signature.hash);
  if (!key.valid() || !md) return false;
  Bytes bytes = signature.rsa;
  const bool rsa = EVP_PKEY_is_a(key.raw(), "RSA") == 1;
  if (signature.algorithm == tpm_alg::kEcDsa) {
    const size_t width = WidthOf(key.type());
    const Bytes r = Padded(signature.r, width), s = Padded(signature.s, width);
    if (width == 0 || r.empty() || s.empty()) return false;
    auto der = crypto::EcdsaRawToDer(Concat({r, s}));
    if (!der.ok()) return false;
    bytes = std::move(*der);
  } else if (!rsa) {
    return false;
  }
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &options, md, nullptr, key.raw()) != 1) return false;
  // TPMs sign PSS with the longest salt or with one of the digest's length, by their age; both are as good.
  if (signature.algorithm == tpm_alg::kRsaPss &&
      (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) != 1)) {
    return false;
  }
  // Only 1 is success: 0 is a wrong signature and a negative number a broken one.
  return EVP_DigestVerify(context.get(), bytes.data(), bytes.size(), message.data(), message.size()) == 1;
}

}  // namespace ccgpu::evidence
