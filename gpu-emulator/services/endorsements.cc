#include "gpu-emulator/services/endorsements.h"

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include <memory>

#include "base/crypto/digest.h"
#include "base/encoding.h"

namespace ccgpu::emulator {
namespace {

using evidence::CertStatus;

struct OcspFree {
  void operator()(OCSP_REQUEST* request) const { OCSP_REQUEST_free(request); }
  void operator()(OCSP_CERTID* id) const { OCSP_CERTID_free(id); }
};

}  // namespace

Endorsements::Endorsements(const DevicePki& pki, std::map<std::string, std::string> rims, const Clock& clock)
    : pki_(pki),
      rims_(std::move(rims)),
      clock_(clock),
      issuers_({&pki.root, &pki.family, &pki.provisioner, &pki.rim_root, &pki.rim_ca, &pki.rim_intermediate}) {
  issued_[&pki.root].insert(pki.family.authority.certificate.SerialNumber());
  issued_[&pki.family].insert(pki.provisioner.authority.certificate.SerialNumber());
  issued_[&pki.rim_root].insert(pki.rim_ca.authority.certificate.SerialNumber());
  issued_[&pki.rim_ca].insert(pki.rim_intermediate.authority.certificate.SerialNumber());
  issued_[&pki.rim_intermediate].insert(pki.rim_signer.certificate.SerialNumber());
}

void Endorsements::Announce(const BoardIdentity& board) {
  std::lock_guard lock(mutex_);
  issued_[&pki_.provisioner].insert(board.identity.SerialNumber());
}

void Endorsements::SetRevocation(const Issuer& issuer, ByteView serial, Revocation revocation) {
  std::lock_guard lock(mutex_);
  const std::pair key(&issuer, ToBytes(serial));
  if (revocation == Revocation::kNone) revoked_.erase(key);
  else revoked_[key] = {revocation, clock_.Now()};
}

void Endorsements::SetRevocation(const BoardIdentity& board, Revocation revocation) {
  SetRevocation(pki_.provisioner, board.identity.SerialNumber(), revocation);
}

void Endorsements::SetRimSignerRevocation(Revocation revocation) {
  SetRevocation(pki_.rim_intermediate, pki_.rim_signer.certificate.SerialNumber(), revocation);
}

std::vector<std::string> Endorsements::RimIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, xml] : rims_) ids.push_back(id);
  return ids;
}

std::optional<std::string> Endorsements::Rim(const std::string& id) const {
  auto found = rims_.find(id);
  if (found == rims_.end()) return std::nullopt;
  return found->second;
}

// Which of our authorities the request's first CertID names, under whatever hash it uses.
const Issuer* Endorsements::FindIssuer(ByteView request_der) const {
  const uint8_t* at = request_der.data();
  std::unique_ptr<OCSP_REQUEST, OcspFree> request(
      d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(request_der.size())));
  if (!request || OCSP_request_onereq_count(request.get()) < 1) return nullptr;
  OCSP_CERTID* asked = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request.get(), 0));
  ASN1_OBJECT* hash = nullptr;
  ASN1_INTEGER* serial = nullptr;
  if (OCSP_id_get0_info(nullptr, &hash, nullptr, &serial, asked) != 1) return nullptr;
  const EVP_MD* digest = EVP_get_digestbyobj(hash);
  if (digest == nullptr) return nullptr;
  for (const Issuer* issuer : issuers_) {
    X509* certificate = issuer->authority.certificate.raw();
    std::unique_ptr<OCSP_CERTID, OcspFree> ours(
        OCSP_cert_id_new(digest, X509_get_subject_name(certificate), X509_get0_pubkey_bitstr(certificate), serial));
    if (ours && OCSP_id_issuer_cmp(ours.get(), asked) == 0) return issuer;
  }
  return nullptr;
}

evidence::OcspAnswer Endorsements::StatusOf(const Issuer& issuer, ByteView serial) const {
  std::lock_guard lock(mutex_);
  const Bytes key = ToBytes(serial);
  auto issued = issued_.find(&issuer);
  const bool ours = issued != issued_.end() && issued->second.contains(key);
  if (!ours && !(&issuer == &pki_.provisioner && IsBoardSerial(pki_, serial)))
    return {.status = CertStatus::kUnknown, .reason = -1, .revoked_at = {}};
  auto revoked = revoked_.find({&issuer, key});
  if (revoked != revoked_.end()) {
    return {.status = CertStatus::kRevoked,
            .reason = static_cast<int>(revoked->second.reason),
            .revoked_at = revoked->second.since};
  }
  return {.status = CertStatus::kGood, .reason = -1, .revoked_at = {}};
}

evidence::OcspSigner Endorsements::SignerOf(const Issuer& issuer) const {
  const TimePoint now = clock_.Now();
  return {issuer.ocsp_responder.certificate, issuer.ocsp_responder.key, now, now + kValidity};
}

Bytes Endorsements::AnswerOcsp(ByteView request_der) const {
  const Issuer* issuer = FindIssuer(request_der);
  if (issuer == nullptr) return evidence::MakeOcspError();
  auto response = evidence::MakeOcspResponse(
      request_der, [&](ByteView serial) { return StatusOf(*issuer, serial); }, SignerOf(*issuer));
  return response.ok() ? std::move(*response) : evidence::MakeOcspError();
}

void Endorsements::AddStatus(const Issuer& issuer, const crypto::Certificate& certificate,
                             std::vector<CollateralItem>& items) const {
  auto response = evidence::MakeOcspResponse(certificate, issuer.authority.certificate,
                                             StatusOf(issuer, certificate.SerialNumber()), SignerOf(issuer));
  if (response.ok()) items.push_back({"ocsp", HexEncode(crypto::Sha256(certificate.Der())), std::move(*response)});
}

std::vector<CollateralItem> Endorsements::CollateralFor(const std::vector<const BoardIdentity*>& boards) const {
  std::vector<CollateralItem> items;
  if (boards.empty()) return items;
  for (const auto& [id, xml] : rims_) items.push_back({"rim", id, ToBytes(AsBytes(xml))});
  AddStatus(pki_.root, pki_.family.authority.certificate, items);
  AddStatus(pki_.family, pki_.provisioner.authority.certificate, items);
  for (const BoardIdentity* board : boards) AddStatus(pki_.provisioner, board->identity, items);
  AddStatus(pki_.rim_root, pki_.rim_ca.authority.certificate, items);
  AddStatus(pki_.rim_ca, pki_.rim_intermediate.authority.certificate, items);
  AddStatus(pki_.rim_intermediate, pki_.rim_signer.certificate, items);
  return items;
}

}  // namespace ccgpu::emulator
