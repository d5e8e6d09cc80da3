// The key broker: KBS 0.4.0 and its own admin routes, as one function from request to answer.
//
// One table says which route exists, who may call it, and which function does it; the access rule is applied in one
// place, before the function runs. Evidence is the only way to a resource: no role, not even admin, reads one back.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/digest.h"
#include "base/crypto/key.h"
#include "key-broker/appraisal/appraiser.h"
#include "key-broker/protocol/http.h"
#include "key-broker/protocol/metrics.h"
#include "key-broker/protocol/peer_limits.h"
#include "key-broker/protocol/refusal.h"
#include "key-broker/protocol/roles.h"
#include "key-broker/protocol/sessions.h"
#include "key-broker/store/attestations.h"
#include "key-broker/store/ledger.h"
#include "key-broker/store/object_store.h"

namespace ccgpu::broker {

struct BrokerOptions {
  RefusalStyle style;
  std::chrono::seconds session_lifetime = std::chrono::minutes(5);
  std::chrono::seconds token_lifetime = std::chrono::minutes(5);
  size_t max_sessions = 100000;
  PeerLimitOptions peer_limits;
  std::string issuer = "ccgpu-broker";
  std::string version = "0";
  bool insecure_accept_emulated = false;  // also for tokens that were given when it was true
};

// Everything outlives the broker.
struct BrokerParts {
  Database& db;
  const StoreKeys& keys;
  Appraiser& appraiser;
  const Roles& roles;
  const Clock& clock;
  crypto::Random& random;
  crypto::PrivateKey token_key;  // P-256 or P-384
};

enum class Access { kAnyone, kAttested, kAuditor, kAdmin };  // an admin may do what an auditor may

struct RouteInfo {
  std::string method, example_path;
  Access access;
};

// Any thread, several at once.
class Broker {
 public:
  Broker(BrokerParts parts, BrokerOptions options);
  HttpResponse Handle(const HttpRequest& request);
  // A connection from this address was closed unread, since its peer holds too many.
  void ConnectionRefused(const std::string& address);
  // Every route there is, for tests that try them all.
  static std::vector<RouteInfo> Routes();
  Ledger& ledger() { return ledger_; }
  // Collectors may be added before the first request.
  metrics::Registry& metrics() { return metrics_.registry; }

 private:
  // What the access rule established about a caller.
  struct Call {
    const HttpRequest& request;
    std::string peer;  // PeerOf its address
    std::string rest;  // of the path, behind the route's own part
    TimePoint now;
    Role role = Role::kNone;
    std::optional<Attestation> attestation;  // with Access::kAttested
  };
  struct Route {
    const char* method;
    const char* path;     // exact, or a prefix when it ends in '/'
    const char* example;  // for Routes()
    Access access;
    Cost cost;
    HttpResponse (Broker::*handler)(const Call&);
  };
  static const std::vector<Route>& Table();

  HttpResponse Refuse(const Refusal& refusal) const { return ToResponse(refusal, options_.style); }
  // `found` is set to the route that answers, when there is one.
  HttpResponse Dispatch(const HttpRequest& request, const Route** found);
  std::optional<Refusal> Limit(const Route& route, const Call& call);
  std::optional<Refusal> Admit(const Route& route, Call& call);
  // The answer to one that is too many, told in the log once a minute for each peer.
  Refusal Later(const Call& call, Refusal refusal);
  void LogTooMuch(const std::string& peer, const Error& why, const std::string& remote, const std::string& sandbox);
  Result<Attestation> AttestationOf(const Call& call);

  HttpResponse Health(const Call& call);
  HttpResponse ShowMetrics(const Call& call);
  HttpResponse Auth(const Call& call);
  HttpResponse Attest(const Call& call);
  HttpResponse GetResource(const Call& call);
  HttpResponse PutResource(const Call& call);
  HttpResponse DeleteResource(const Call& call);
  HttpResponse GetPolicy(const Call& call);
  HttpResponse PutPolicy(const Call& call);
  HttpResponse DeletePolicy(const Call& call);
  HttpResponse ListResources(const Call& call);
  HttpResponse ListDecisions(const Call& call);
  HttpResponse Delete(ObjectKind kind, const Call& call);
  HttpResponse Put(ObjectKind kind, const Call& call, const std::string& resource);
  HttpResponse DenyRelease(const Call& call, const std::string& resource, Error why, std::string checks_json);
  // An admin's change and its ledger entry, in the transaction that the caller holds open.
  Status RecordChange(const Call& call, const char* what, ObjectKind kind, const std::string& resource,
                      int64_t version);

  BrokerParts parts_;
  BrokerOptions options_;
  crypto::PublicKey token_public_key_;
  PeerLimits peers_;
  Sessions sessions_;
  ObjectStore objects_;
  Attestations attestations_;
  Ledger ledger_;
  Metrics metrics_;
};

}  // namespace ccgpu::broker
