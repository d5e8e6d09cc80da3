// What accepted evidence said, kept as long as the token that was given for it. The token names the record; so tokens
// stay small, and one that this broker does not know (of another broker, withdrawn, expired) opens nothing.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/crypto/digest.h"
#include "key-broker/store/database.h"
#include "key-broker/store/master_key.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::broker {

struct Attestation {
  std::string id;  // = the token's "jti" = the session's id
  TimePoint expires{};
  std::string environment;  // hardware | emulated
  kbs::PublicJwk key;       // to which resources are encrypted
  std::string claims_json;  // of the accepted verdict
};

// Any thread. The arguments must outlive it.
class Attestations {
 public:
  Attestations(Database& db, const StoreKeys& keys, crypto::Random& random) : db_(db), keys_(keys), random_(random) {}
  // Also forgets what expired before `now`.
  Status Put(const Attestation& attestation, TimePoint now);
  // Nothing when unknown or expired; "store.tampered" when the row was changed.
  Result<std::optional<Attestation>> Get(const std::string& id, TimePoint now);

 private:
  Database& db_;
  const StoreKeys& keys_;
  crypto::Random& random_;
};

}  // namespace ccgpu::broker
