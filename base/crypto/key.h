// Elliptic-curve and RSA keys: signatures, key agreement, PEM. Wire forms: raw signatures are r||s, points are X||Y,
// all big-endian and of fixed width (P-384: 96 bytes, P-256: 64).
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/crypto/digest.h"

struct evp_pkey_st;

namespace ccgpu::crypto {

enum class KeyType { kP256, kP384, kP521, kRsa2048, kRsa3072, kRsa4096, kEd25519, kOther };

// Shares one immutable OpenSSL key; cheap to copy, any thread.
class PublicKey {
 public:
  PublicKey() = default;
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  static Result<PublicKey> FromDer(ByteView subject_public_key_info);
  static Result<PublicKey> FromPem(std::string_view pem);
  // X||Y on a named curve; a point that is not on the curve is an error.
  static Result<PublicKey> FromPoint(KeyType curve, ByteView point);

  bool valid() const { return key_ != nullptr; }
  KeyType type() const;  // explicit EC parameters give kOther
  Bytes Der() const;     // SubjectPublicKeyInfo
  std::string Pem() const;
  Bytes Point() const;  // X||Y; empty for RSA
  bool operator==(const PublicKey& other) const;

  // ECDSA over Hash(data); signature raw r||s, both in [1, n-1].
  [[nodiscard]] bool VerifyRaw(Hash hash, ByteView data, ByteView raw_signature) const;
  // ECDSA with a DER signature.
  [[nodiscard]] bool VerifyDer(Hash hash, ByteView data, ByteView der_signature) const;
  // RSASSA-PSS with salt length = digest length and MGF1 of the same hash (AMD's profile).
  [[nodiscard]] bool VerifyPss(Hash hash, ByteView data, ByteView signature) const;
  evp_pkey_st* raw() const { return key_.get(); }

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

class PrivateKey {
 public:
  PrivateKey() = default;
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  static PrivateKey Generate(KeyType type);
  static Result<PrivateKey> FromPem(std::string_view pem);
  // A private scalar on a named curve (tests, known answers).
  static Result<PrivateKey> FromScalar(KeyType curve, ByteView scalar);

  bool valid() const { return key_ != nullptr; }
  std::string Pem() const;  // PKCS#8, not encrypted
  PublicKey public_key() const;
  Bytes SignRaw(Hash hash, ByteView data) const;  // ECDSA, r||s
  Bytes SignDer(Hash hash, ByteView data) const;
  Bytes SignPss(Hash hash, ByteView data) const;
  // ECDH: the x coordinate, fixed width.
  Result<Bytes> Agree(const PublicKey& peer) const;
  evp_pkey_st* raw() const { return key_.get(); }

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

// Between the two ECDSA signature forms; width is that of one number (P-384: 48).
Result<Bytes> EcdsaDerToRaw(ByteView der, size_t width);
Result<Bytes> EcdsaRawToDer(ByteView raw);

}  // namespace ccgpu::crypto
