// OCSP (RFC 6960) in the form that NVIDIA's services and verifiers use: CertIDs over SHA-1, SHA-256 or SHA-384, a
// nonce, the responder's certificate embedded first. Reading, making; what a status means for a chain is trust/verify's
// work.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/crypto/x509.h"

struct ocsp_basic_response_st;

namespace ccgpu::evidence {

enum class CertStatus { kGood, kRevoked, kUnknown };

// One statement about one certificate.
struct OcspSingle {
  Bytes cert_id_der;
  Bytes serial;  // big-endian, no leading zero
  CertStatus status = CertStatus::kUnknown;
  int reason = -1;  // CRLReason when revoked, -1 when not given; 6 = certificateHold
  TimePoint this_update{};
  std::optional<TimePoint> next_update, revoked_at;

  // Whether this is about `subject` as issued by `issuer` (name hash, key hash, serial).
  bool IsAbout(const crypto::Certificate& subject, const crypto::Certificate& issuer) const;
};

// A successful basic response. Cheap to copy, any thread.
struct OcspResponse {
  std::vector<OcspSingle> singles;
  std::vector<crypto::Certificate> certificates;  // embedded, as they come
  TimePoint produced_at{};
  std::optional<Bytes> nonce;
  std::shared_ptr<ocsp_basic_response_st> basic;

  // Whether this certificate is the one that the response says it is signed by (ResponderID; a hint that saves work).
  bool NamesResponder(const crypto::Certificate& certificate) const;
  // Signature only, ECDSA with SHA-256 or better, or RSA.
  [[nodiscard]] bool IsSignedBy(const crypto::PublicKey& key) const;
};

// Errors: ocsp.malformed, ocsp.not-successful (the responder's error in the text).
Result<OcspResponse> ParseOcspResponse(ByteView der);
bool MayOcspSign(const crypto::Certificate& responder);  // extended key usage OCSPSigning

// -- making --
struct OcspAnswer {
  CertStatus status = CertStatus::kGood;
  int reason = -1;  // when revoked
  TimePoint revoked_at{};
};
struct OcspSigner {
  crypto::Certificate certificate;  // embedded first
  crypto::PrivateKey key;
  TimePoint this_update{}, next_update{};
};
// Answers a request: `answer` is asked with each serial number (big-endian). Echoes the nonce. Error: ocsp.malformed.
Result<Bytes> MakeOcspResponse(ByteView request_der, const std::function<OcspAnswer(ByteView serial)>& answer,
                               const OcspSigner& signer);
// A response without a request (collateral that the host hands in): one certificate, SHA-384 CertID, no nonce.
Result<Bytes> MakeOcspResponse(const crypto::Certificate& subject, const crypto::Certificate& issuer,
                               const OcspAnswer& answer, const OcspSigner& signer);
// SHA-384 CertID; nonce may be empty.
Bytes MakeOcspRequest(const crypto::Certificate& subject, const crypto::Certificate& issuer, ByteView nonce);
// An answer that says "malformedRequest" (no signature).
Bytes MakeOcspError();

}  // namespace ccgpu::evidence
