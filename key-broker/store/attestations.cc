#include "key-broker/store/attestations.h"

#include "base/crypto/aead.h"
#include "base/json.h"

namespace ccgpu::broker {
namespace {

std::string Binding(const std::string& id, TimePoint expires) {
  return "ccgpu-attestation/1 " + id + " " + std::to_string(expires.time_since_epoch().count());
}

}  // namespace

Status Attestations::Put(const Attestation& attestation, TimePoint now) {
  const std::string text = Json{{"environment", attestation.environment},
                                {"key", attestation.key.ToJson()},
                                {"claims", attestation.claims_json}}
                               .dump();
  const Bytes nonce = random_.Take(crypto::kAeadNonceSize);
  const std::string binding = Binding(attestation.id, attestation.expires);
  const Bytes sealed = Concat({nonce, crypto::AeadSeal(keys_.attestations, nonce, AsBytes(binding), AsBytes(text))});
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  {
    Database::Query query(db_, "DELETE FROM attestations WHERE expires <= ?");
    RETURN_IF_ERROR(query.Bind(now.time_since_epoch().count()).Run());
  }
  {
    Database::Query query(db_, "INSERT INTO attestations (id, expires, sealed) VALUES (?, ?, ?)");
    RETURN_IF_ERROR(
        query.Bind(attestation.id).Bind(attestation.expires.time_since_epoch().count()).BindBlob(sealed).Run());
  }
  return transaction.Commit();
}

Result<std::optional<Attestation>> Attestations::Get(const std::string& id, TimePoint now) {
  Bytes sealed;
  Attestation out;
  out.id = id;
  {
    Database::Transaction transaction(db_);
    RETURN_IF_ERROR(transaction.status());
    Database::Query query(db_, "SELECT expires, sealed FROM attestations WHERE id = ?");
    query.Bind(id);
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row || query.Int(0) <= now.time_since_epoch().count()) return std::optional<Attestation>();
    out.expires = TimePoint(std::chrono::seconds(query.Int(0)));
    sealed = query.Blob(1);
  }
  const Error tampered = Err("store.tampered", "attestation " + id, "does not open with the master key; attest again");
  if (sealed.size() < crypto::kAeadNonceSize) return tampered;
  const ByteView view(sealed);
  auto text = crypto::AeadOpen(keys_.attestations, view.first(crypto::kAeadNonceSize),
                               AsBytes(Binding(id, out.expires)), view.subspan(crypto::kAeadNonceSize));
  if (!text.ok()) return tampered;
  ASSIGN_OR_RETURN(const Json record, ParseJson(AsText(*text), "attestation"));
  ASSIGN_OR_RETURN(out.environment, JsonString(record, "environment", "attestation"));
  ASSIGN_OR_RETURN(const std::string key, JsonString(record, "key", "attestation"));
  ASSIGN_OR_RETURN(out.key, kbs::ParseJwk(key));
  ASSIGN_OR_RETURN(out.claims_json, JsonString(record, "claims", "attestation"));
  return std::optional<Attestation>(std::move(out));
}

}  // namespace ccgpu::broker
