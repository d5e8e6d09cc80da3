#include "trust/evidence/ocsp.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <ctime>

#include "trust/evidence/der.h"

namespace ccgpu::evidence {
namespace {

template <class T, auto kFree>
using Owned = std::unique_ptr<T, decltype([](T* p) { kFree(p); })>;
using ResponsePtr = Owned<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using RequestPtr = Owned<OCSP_REQUEST, OCSP_REQUEST_free>;
using BasicPtr = Owned<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using IdPtr = Owned<OCSP_CERTID, OCSP_CERTID_free>;
using TimePtr = Owned<ASN1_TIME, ASN1_TIME_free>;

constexpr size_t kMaxSize = 64 << 10, kMaxSingles = 64, kMaxCertificates = 8, kMaxNonce = 128;

Error Bad(std::string text) { return Err("ocsp.malformed", "OCSP response", std::move(text)); }

std::optional<TimePoint> ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return TimePoint(std::chrono::seconds(timegm(&parts)));
}

TimePtr FromTime(TimePoint time) { return TimePtr(ASN1_GENERALIZEDTIME_set(nullptr, time.time_since_epoch().count())); }

template <class T, class Encode>
Bytes Der(T* object, Encode encode) {
  uint8_t* out = nullptr;
  const int size = encode(object, &out);
  if (size < 0) std::abort();
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

Bytes SerialOf(const ASN1_INTEGER* serial) { return Bytes(serial->data, serial->data + serial->length); }

// The nonce extension's value; OpenSSL writes an OCTET STRING in the OCTET STRING, which is unwrapped here.
std::optional<Bytes> NonceOf(X509_EXTENSION* extension) {
  if (!extension) return std::nullopt;
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
  Bytes bytes(value->data, value->data + value->length);
  if (bytes.size() >= 2 && bytes[0] == 0x04 && bytes[1] == bytes.size() - 2)
    bytes.erase(bytes.begin(), bytes.begin() + 2);
  return bytes;
}

Result<OcspSingle> ReadSingle(OCSP_SINGLERESP* single) {
  OcspSingle out;
  const OCSP_CERTID* id = OCSP_SINGLERESP_get0_id(single);
  out.cert_id_der =
      Der(const_cast<OCSP_CERTID*>(id), [](OCSP_CERTID* i, uint8_t** to) { return i2d_OCSP_CERTID(i, to); });
  ASN1_INTEGER* serial = nullptr;
  if (OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, const_cast<OCSP_CERTID*>(id)) != 1)
    return Bad("a CertID cannot be read");
  out.serial = SerialOf(serial);
  int reason = -1;
  ASN1_GENERALIZEDTIME *revoked = nullptr, *this_update = nullptr, *next_update = nullptr;
  switch (OCSP_single_get0_status(single, &reason, &revoked, &this_update, &next_update)) {
    case V_OCSP_CERTSTATUS_GOOD: out.status = CertStatus::kGood; break;
    case V_OCSP_CERTSTATUS_REVOKED: out.status = CertStatus::kRevoked; break;
    case V_OCSP_CERTSTATUS_UNKNOWN: out.status = CertStatus::kUnknown; break;
    default: return Bad("a status is none of good, revoked, unknown");
  }
  out.reason = reason;
  const auto at = ToTime(this_update);
  if (!at) return Bad("thisUpdate is not a time");
  out.this_update = *at;
  out.next_update = ToTime(next_update);
  if (next_update && !out.next_update) return Bad("nextUpdate is not a time");
  out.revoked_at = ToTime(revoked);
  return out;
}

Status AddAnswer(OCSP_BASICRESP* basic, OCSP_CERTID* id, const OcspAnswer& answer, const OcspSigner& signer) {
  const TimePtr this_update = FromTime(signer.this_update), next_update = FromTime(signer.next_update),
                revoked = FromTime(answer.revoked_at);
  const int status = answer.status == CertStatus::kGood      ? V_OCSP_CERTSTATUS_GOOD
                     : answer.status == CertStatus::kRevoked ? V_OCSP_CERTSTATUS_REVOKED
                                                             : V_OCSP_CERTSTATUS_UNKNOWN;
  const int reason = answer.status == CertStatus::kRevoked ? answer.reason : 0;
  if (!OCSP_basic_add1_status(basic, id, status, reason, revoked.get(), this_update.get(), next_update.get()))
    return Bad("an answer cannot be encoded");
  return Ok();
}

Result<Bytes> Finish(OCSP_BASICRESP* basic, const OcspSigner& signer) {
  if (OCSP_basic_sign(basic, signer.certificate.raw(), signer.key.raw(), EVP_sha384(), nullptr, OCSP_RESPID_KEY) != 1)
    return Bad("the signer's key cannot sign");
  const ResponsePtr response(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic));
  return Der(response.get(), [](OCSP_RESPONSE* r, uint8_t** to) { return i2d_OCSP_RESPONSE(r, to); });
}

// The BasicOCSPResponse inside an OCSPResponse (RFC 6960 4.2.1); empty when the outer layers are not DER.
ByteView BasicPart(ByteView in) {
  constexpr uint8_t kEnumerated = 0x0a, kExplicit0 = 0xa0;
  for (const auto& [skip, take] : {std::pair<uint8_t, uint8_t>{0, der::kSequence},
                                   {kEnumerated, kExplicit0},
                                   {0, der::kSequence},
                                   {der::kOid, der::kOctetString}}) {
    if (skip && !der::Take(in, skip).ok()) return {};
    const auto inner = der::Take(in, take);
    if (!inner.ok() || !in.empty()) return {};
    in = *inner;
  }
  return in;
}

}  // namespace

bool OcspSingle::IsAbout(const crypto::Certificate& subject, const crypto::Certificate& issuer) const {
  const uint8_t* at = cert_id_der.data();
  const IdPtr id(d2i_OCSP_CERTID(nullptr, &at, static_cast<long>(cert_id_der.size())));
  ASN1_OBJECT* algorithm = nullptr;
  if (!id || OCSP_id_get0_info(nullptr, &algorithm, nullptr, nullptr, id.get()) != 1) return false;
  const int nid = OBJ_obj2nid(algorithm);
  if (nid != NID_sha1 && nid != NID_sha256 && nid != NID_sha384) return false;
  const IdPtr expected(OCSP_cert_to_id(EVP_get_digestbynid(nid), subject.raw(), issuer.raw()));
  return expected && OCSP_id_cmp(id.get(), expected.get()) == 0;
}

bool OcspResponse::NamesResponder(const crypto::Certificate& certificate) const {
  const ASN1_OCTET_STRING* key_hash = nullptr;
  const X509_NAME* name = nullptr;
  if (!basic || OCSP_resp_get0_id(basic.get(), &key_hash, &name) != 1) return false;
  if (name) return X509_NAME_cmp(name, X509_get_subject_name(certificate.raw())) == 0;
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return X509_pubkey_digest(certificate.raw(), EVP_sha1(), digest, &size) == 1 &&
         Equal({digest, size}, {key_hash->data, static_cast<size_t>(key_hash->length)});
}

bool OcspResponse::IsSignedBy(const crypto::PublicKey& key) const {
  if (!basic || !key.valid()) return false;
  const int nid = OBJ_obj2nid(OCSP_resp_get0_tbs_sigalg(basic.get())->algorithm);
  if (nid != NID_ecdsa_with_SHA256 && nid != NID_ecdsa_with_SHA384 && nid != NID_sha256WithRSAEncryption &&
      nid != NID_sha384WithRSAEncryption)
    return false;
  return ASN1_item_verify(ASN1_ITEM_rptr(OCSP_RESPDATA),
                          const_cast<X509_ALGOR*>(OCSP_resp_get0_tbs_sigalg(basic.get())),
                          const_cast<ASN1_OCTET_STRING*>(OCSP_resp_get0_signature(basic.get())),
                          const_cast<OCSP_RESPDATA*>(OCSP_resp_get0_respdata(basic.get())), key.raw()) == 1;
}

Result<OcspResponse> ParseOcspResponse(ByteView der) {
  if (der.size() > kMaxSize) return Bad("is larger than 64 KiB");
  const uint8_t* at = der.data();
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  if (!response || at != der.data() + der.size()) return Bad("is not the DER of one response");
  if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return Err("ocsp.not-successful", "OCSP response",
               std::string("the responder answered ") + OCSP_response_status_str(status));
  }
  BasicPtr basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return Bad("holds no basic response");
  // OpenSSL encodes the signed part again to check its signature, so what is not encoded as it would do it was never
  // under that signature.
  const Bytes again = Der(basic.get(), [](OCSP_BASICRESP* b, uint8_t** to) { return i2d_OCSP_BASICRESP(b, to); });
  if (!Equal(again, BasicPart(der))) return Bad("is not the one DER encoding of what it says");
  OcspResponse out;
  const int count = OCSP_resp_count(basic.get());
  if (count < 1 || static_cast<size_t>(count) > kMaxSingles)
    return Bad("speaks of " + std::to_string(count) + " certificates, expected 1 to 64");
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(OcspSingle single, ReadSingle(OCSP_resp_get0(basic.get(), i)));
    out.singles.push_back(std::move(single));
  }
  const STACK_OF(X509)* certificates = OCSP_resp_get0_certs(basic.get());
  if (static_cast<size_t>(sk_X509_num(certificates) + 1) > kMaxCertificates + 1)
    return Bad("embeds more than 8 certificates");
  for (int i = 0; i < sk_X509_num(certificates); ++i) {
    X509* certificate = sk_X509_value(certificates, i);
    X509_up_ref(certificate);
    out.certificates.push_back(crypto::Certificate(std::shared_ptr<X509>(certificate, X509_free)));
  }
  const auto produced = ToTime(OCSP_resp_get0_produced_at(basic.get()));
  if (!produced) return Bad("producedAt is not a time");
  out.produced_at = *produced;
  out.nonce = NonceOf(
      OCSP_BASICRESP_get_ext(basic.get(), OCSP_BASICRESP_get_ext_by_NID(basic.get(), NID_id_pkix_OCSP_Nonce, -1)));
  out.basic = std::shared_ptr<OCSP_BASICRESP>(basic.release(), OCSP_BASICRESP_free);
  return out;
}

bool MayOcspSign(const crypto::Certificate& responder) {
  return (X509_get_extended_key_usage(responder.raw()) & XKU_OCSP_SIGN) != 0 &&
         (X509_get_extension_flags(responder.raw()) & EXFLAG_XKUSAGE) != 0;
}

Result<Bytes> MakeOcspResponse(ByteView request_der, const std::function<OcspAnswer(ByteView serial)>& answer,
                               const OcspSigner& signer) {
  const uint8_t* at = request_der.data();
  const RequestPtr request(
      request_der.size() > kMaxSize ? nullptr : d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(request_der.size())));
  if (!request || at != request_der.data() + request_der.size()) return Bad("the request is not DER");
  const int count = OCSP_request_onereq_count(request.get());
  if (count < 1 || static_cast<size_t>(count) > kMaxSingles)
    return Bad("the request asks for " + std::to_string(count) + " certificates, expected 1 to 64");
  const BasicPtr basic(OCSP_BASICRESP_new());
  for (int i = 0; i < count; ++i) {
    OCSP_CERTID* id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request.get(), i));
    ASN1_INTEGER* serial = nullptr;
    if (OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, id) != 1) return Bad("a CertID cannot be read");
    RETURN_IF_ERROR(AddAnswer(basic.get(), id, answer(SerialOf(serial)), signer));
  }
  const auto nonce = NonceOf(
      OCSP_REQUEST_get_ext(request.get(), OCSP_REQUEST_get_ext_by_NID(request.get(), NID_id_pkix_OCSP_Nonce, -1)));
  if (nonce && nonce->size() > kMaxNonce) return Bad("the request's nonce is longer than 128 bytes");
  if (nonce) OCSP_copy_nonce(basic.get(), request.get());
  return Finish(basic.get(), signer);
}

Result<Bytes> MakeOcspResponse(const crypto::Certificate& subject, const crypto::Certificate& issuer,
                               const OcspAnswer& answer, const OcspSigner& signer) {
  const BasicPtr basic(OCSP_BASICRESP_new());
  const IdPtr id(OCSP_cert_to_id(EVP_sha384(), subject.raw(), issuer.raw()));
  RETURN_IF_ERROR(AddAnswer(basic.get(), id.get(), answer, signer));
  return Finish(basic.get(), signer);
}

Bytes MakeOcspRequest(const crypto::Certificate& subject, const crypto::Certificate& issuer, ByteView nonce) {
  const RequestPtr request(OCSP_REQUEST_new());
  OCSP_request_add0_id(request.get(), OCSP_cert_to_id(EVP_sha384(), subject.raw(), issuer.raw()));
  if (!nonce.empty())
    OCSP_request_add1_nonce(request.get(), const_cast<uint8_t*>(nonce.data()), static_cast<int>(nonce.size()));
  return Der(request.get(), [](OCSP_REQUEST* r, uint8_t** to) { return i2d_OCSP_REQUEST(r, to); });
}

Bytes MakeOcspError() {
  const ResponsePtr response(OCSP_response_create(OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, nullptr));
  return Der(response.get(), [](OCSP_RESPONSE* r, uint8_t** to) { return i2d_OCSP_RESPONSE(r, to); });
}

}  // namespace ccgpu::evidence
