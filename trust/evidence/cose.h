// COSE_Sign1 (RFC 9052 4.2): one signature over a payload, in CBOR.
//
// Reading decides nothing: whose key and which algorithm may verify is the caller's knowledge
// (trust/verify/references/cose.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto/key.h"
#include "trust/evidence/cbor.h"

namespace ccgpu::evidence {

// RFC 9053 2.1, RFC 8230 2.
namespace cose_alg {
inline constexpr int64_t kEs256 = -7, kEs384 = -35, kEs512 = -36, kPs256 = -37, kPs384 = -38;
}
inline constexpr uint64_t kCoseSign1Tag = 18;

struct CoseSign1 {
  Bytes protected_header;           // the content of the byte string, exactly as received: it is what was signed
  int64_t algorithm = 0;            // of the protected header; the unprotected one may not say it
  Bytes key_id;                     // a hint, from either header; empty when absent
  std::string content_type;         // protected; text, or "#n" for a CoAP content format number
  std::optional<Bytes> corim_meta;  // protected label 8, the content of its byte string
  std::vector<Bytes> x5chain;  // DER, leaf first (RFC 9360), from either header: a hint until it ends in a pinned root
  std::optional<Bytes> payload;  // nothing: detached
  Bytes signature;
  bool tagged = false;
  size_t payload_offset = 0, signature_offset = 0;  // of their contents in the document
};

// Errors: cbor.malformed; cose.malformed; cose.algorithm when the protected header names none; cose.critical for a
// critical header that this library does not know (it knows alg, content type, kid and x5chain).
Result<CoseSign1> ParseCoseSign1(ByteView document);

// The bytes that are signed: Sig_structure with the context "Signature1".
Bytes CoseSigStructure(ByteView protected_header, ByteView external_aad, ByteView payload);

// What a new message says besides its payload.
struct CoseSpec {
  Bytes key_id;
  std::string content_type;
  std::optional<Bytes> corim_meta;
  std::vector<Bytes> x5chain;
  bool detached = false;
};
// ES256, ES384 or ES512 by the key's curve; a key of another kind gives an empty result.
Bytes SignCoseSign1(const CoseSpec& spec, ByteView payload, const crypto::PrivateKey& key);

}  // namespace ccgpu::evidence
