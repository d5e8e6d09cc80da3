// TPM 2.0 quotes: TPMS_ATTEST, TPMT_SIGNATURE and TPMT_PUBLIC (TPM 2.0 Library, part 2, sections 10.12, 11.3, 12.2).
//
// Encode(Parse(x)) is x for everything that is parsed. Parsing checks form only; what the values must be is
// trust/verify's work. All integers are big-endian.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crypto/key.h"
#include "trust/evidence/tpm_algorithms.h"

namespace ccgpu::evidence {

inline constexpr uint32_t kTpmGenerated = 0xff544347;  // what only the TPM itself puts in front of what it signs
inline constexpr uint16_t kTpmAttestQuote = 0x8018;
inline constexpr uint32_t kTpmPcrCount = 24;

namespace tpm_alg {
inline constexpr uint16_t kRsa = 0x0001, kNull = 0x0010, kRsaSsa = 0x0014, kRsaPss = 0x0016, kEcDsa = 0x0018,
                          kEcc = 0x0023, kAes = 0x0006, kCfb = 0x0043;
}
namespace tpm_curve {
inline constexpr uint16_t kP256 = 3, kP384 = 4, kP521 = 5;
}
namespace tpm_attribute {
inline constexpr uint32_t kFixedTpm = 1u << 1, kFixedParent = 1u << 4, kSensitiveDataOrigin = 1u << 5,
                          kUserWithAuth = 1u << 6, kRestricted = 1u << 16, kDecrypt = 1u << 17, kSign = 1u << 18;
}

// Registers of one bank.
struct TpmPcrSelection {
  uint16_t hash = tpm_alg::kSha256;
  Bytes bitmap;  // register n is bit n % 8 of byte n / 8
  std::vector<uint32_t> Indices() const;
  static TpmPcrSelection Of(uint16_t hash, const std::vector<uint32_t>& indices);  // three bytes, as TPMs for PCs want
};

struct TpmQuote {
  uint32_t magic = kTpmGenerated;
  uint16_t type = kTpmAttestQuote;
  Bytes qualified_signer;  // the name of the key that signed
  Bytes extra_data;        // the nonce
  uint64_t clock = 0;
  uint32_t reset_count = 0, restart_count = 0;
  bool clock_safe = true;
  uint64_t firmware_version = 0;
  std::vector<TpmPcrSelection> selections;
  Bytes pcr_digest;
  size_t extra_data_offset = 0, selection_offset = 0, digest_offset = 0;  // where in the bytes

  bool IsQuote() const { return magic == kTpmGenerated && type == kTpmAttestQuote; }
};
// Of bytes with another magic or type only those two are read (IsQuote() says so): what follows them means something
// else. Errors: tpm.quote-malformed.
Result<TpmQuote> ParseTpmQuote(ByteView attest);
Bytes EncodeTpmQuote(const TpmQuote& quote);

struct TpmSignature {
  uint16_t algorithm = tpm_alg::kRsaSsa, hash = tpm_alg::kSha256;
  Bytes rsa;   // RSASSA, RSAPSS
  Bytes r, s;  // ECDSA, big-endian, as the TPM sent them
};
Result<TpmSignature> ParseTpmSignature(ByteView signature);
Bytes EncodeTpmSignature(const TpmSignature& signature);
// Whether the signature over `message` verifies under `key`, whose kind must fit the signature's algorithm. Which
// algorithms are good enough is the caller's question.
[[nodiscard]] bool VerifyTpmSignature(const crypto::PublicKey& key, const TpmSignature& signature, ByteView message);

// The public area of an RSA or ECC key.
struct TpmPublic {
  uint16_t type = tpm_alg::kRsa, name_hash = tpm_alg::kSha256;
  uint32_t attributes = 0;
  Bytes policy;
  uint16_t symmetric = tpm_alg::kNull, symmetric_bits = 0, symmetric_mode = 0;  // of storage keys
  uint16_t scheme = tpm_alg::kRsaSsa, scheme_hash = tpm_alg::kSha256;
  uint16_t rsa_bits = 2048;
  uint32_t rsa_exponent = 0;  // 0 means 65537
  Bytes rsa_modulus;
  uint16_t curve = 0, kdf = tpm_alg::kNull, kdf_hash = 0;
  Bytes x, y;

  Result<crypto::PublicKey> Key() const;
};
// Also takes a TPM2B_PUBLIC (two bytes of size in front). Errors: tpm.ak-malformed.
Result<TpmPublic> ParseTpmPublic(ByteView area);
Bytes EncodeTpmPublic(const TpmPublic& area);  // TPMT_PUBLIC
// name_hash || H(TPMT_PUBLIC): how the TPM calls the key. Precondition: the hash is known.
Bytes TpmName(const TpmPublic& area);

}  // namespace ccgpu::evidence
