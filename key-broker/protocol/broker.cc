#include "key-broker/protocol/broker.h"

#include "base/json.h"
#include "base/log.h"
#include "trust/evidence/cpu_evidence.h"
#include "trust/kbs/ear.h"
#include "trust/kbs/jwe.h"
#include "trust/kbs/resource_path.h"
#include "trust/policy/key_release.h"

namespace ccgpu::broker {
namespace {

// "a=1; kbs-session-id=<id>; b=2" -> id; the first one counts.
std::string SessionCookie(std::string_view header) {
  while (!header.empty()) {
    const size_t end = header.find(';');
    std::string_view pair = header.substr(0, end);
    header = end == std::string_view::npos ? "" : header.substr(end + 1);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == kbs::kSessionCookie)
      return std::string(pair.substr(equals + 1));
  }
  return "";
}

std::string CookieFor(const Session& session) {
  const std::time_t at = static_cast<std::time_t>(session.expires.time_since_epoch().count());
  std::tm parts{};
  gmtime_r(&at, &parts);
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(kbs::kSessionCookie) + "=" + session.id + "; Expires=" + date + "; Path=/kbs/v0; Secure; HttpOnly";
}

HttpResponse JsonAnswer(std::string body) {
  HttpResponse out;
  out.status = 200;
  out.content_type = "application/json";
  out.body = std::move(body);
  return out;
}

}  // namespace

Broker::Broker(BrokerParts parts, BrokerOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      token_public_key_(parts_.token_key.public_key()),
      peers_(options_.peer_limits),
      sessions_(parts_.random, options_.session_lifetime, options_.max_sessions, options_.peer_limits.sessions),
      objects_(parts_.db, parts_.keys, parts_.random),
      attestations_(parts_.db, parts_.keys, parts_.random),
      ledger_(parts_.db, parts_.keys) {
  metrics_.registry.AddCollector([this](metrics::Page& page) {
    page.Gauge("ccgpu_broker_sessions", "Sessions alive.", static_cast<double>(sessions_.size()));
    page.Gauge("ccgpu_broker_peers", "Peers whose requests are being counted.", static_cast<double>(peers_.size()));
    if (auto entries = ledger_.Count(); entries.ok())
      page.Gauge("ccgpu_broker_ledger_entries", "Decisions recorded.", static_cast<double>(*entries));
    if (auto resources = objects_.Count(); resources.ok())
      page.Gauge("ccgpu_broker_resources", "Resources kept.", static_cast<double>(*resources));
  });
}

const std::vector<Broker::Route>& Broker::Table() {
  static const std::vector<Route> table = {
      {"GET", "/healthz", "/healthz", Access::kAnyone, Cost::kNone, &Broker::Health},
      {"GET", "/metrics", "/metrics", Access::kAnyone, Cost::kNone, &Broker::ShowMetrics},
      {"POST", "/kbs/v0/auth", "/kbs/v0/auth", Access::kAnyone, Cost::kChallenge, &Broker::Auth},
      {"POST", "/kbs/v0/attest", "/kbs/v0/attest", Access::kAnyone, Cost::kEvidence, &Broker::Attest},
      {"GET", "/kbs/v0/resource/", "/kbs/v0/resource/default/test/one", Access::kAttested, Cost::kResource,
       &Broker::GetResource},
      {"POST", "/kbs/v0/resource/", "/kbs/v0/resource/default/test/one", Access::kAdmin, Cost::kAdminFailure,
       &Broker::PutResource},
      {"DELETE", "/kbs/v0/resource/", "/kbs/v0/resource/default/test/one", Access::kAdmin, Cost::kAdminFailure,
       &Broker::DeleteResource},
      {"GET", "/kbs/v0/ccgpu/resources", "/kbs/v0/ccgpu/resources", Access::kAuditor, Cost::kAdminFailure,
       &Broker::ListResources},
      {"GET", "/kbs/v0/ccgpu/decisions", "/kbs/v0/ccgpu/decisions", Access::kAuditor, Cost::kAdminFailure,
       &Broker::ListDecisions},
      {"GET", "/kbs/v0/ccgpu/release-policy/", "/kbs/v0/ccgpu/release-policy/default/test/one", Access::kAuditor,
       Cost::kAdminFailure, &Broker::GetPolicy},
      {"POST", "/kbs/v0/ccgpu/release-policy/", "/kbs/v0/ccgpu/release-policy/default/test/one", Access::kAdmin,
       Cost::kAdminFailure, &Broker::PutPolicy},
      {"DELETE", "/kbs/v0/ccgpu/release-policy/", "/kbs/v0/ccgpu/release-policy/default/test/one", Access::kAdmin,
       Cost::kAdminFailure, &Broker::DeletePolicy},
  };
  return table;
}

std::vector<RouteInfo> Broker::Routes() {
  std::vector<RouteInfo> out;
  for (const Route& route : Table()) out.push_back({route.method, route.example, route.access});
  return out;
}

HttpResponse Broker::Handle(const HttpRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  ++metrics_.http_requests;
  const Route* route = nullptr;
  HttpResponse out = Dispatch(request, &route);
  const std::string path = route ? route->path : "none", method = route ? route->method : "any";
  ++metrics_.answers.With({path, method, std::to_string(out.status)});
  metrics_.seconds.With({path, method})
      .Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!out.reason.empty()) ++metrics_.refusals.With({path, out.reason});
  if (out.our_fault) {
    ++metrics_.internal_errors.With({out.reason});
    log::Error("cannot answer",
               {{"route", path}, {"code", out.reason}, {"remote", request.remote}, {"sandbox", request.sandbox}});
  }
  return out;
}

HttpResponse Broker::Dispatch(const HttpRequest& request, const Route** found) {
  Call call{request, PeerOf(request.remote), "", parts_.clock.Now(), Role::kNone, std::nullopt};
  std::string allowed;
  for (const Route& route : Table()) {
    const std::string_view path = route.path;
    const bool fits = path.ends_with('/') ? request.path.starts_with(path) : request.path == path;
    if (!fits) continue;
    if (request.method != route.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    *found = &route;
    call.rest = request.path.substr(path.size());
    if (auto refusal = Limit(route, call)) return Refuse(Later(call, *refusal));
    if (auto refusal = Admit(route, call)) {
      log::Info("refused", {{"route", route.path},
                            {"method", route.method},
                            {"code", refusal->why.code},
                            {"remote", request.remote},
                            {"sandbox", request.sandbox}});
      return Refuse(*refusal);
    }
    return (this->*route.handler)(call);
  }
  const std::string prefix = std::string(kbs::kPathPrefix) + "/";
  if (!request.path.starts_with(prefix)) {
    if (allowed.empty()) return Refuse(RouteUnknown(request.path));
  } else {
    const std::string rest = request.path.substr(prefix.size());
    // As CoCo does: a built-in name with another method is looked up as a plugin and not found.
    if (allowed.empty() || rest == "auth" || rest == "attest")
      return Refuse(PluginUnknown(rest.substr(0, rest.find('/'))));
  }
  HttpResponse out = Refuse(RouteUnknown(request.path));
  out.status = 405;
  out.allow = allowed;
  return out;
}

// The one place where it is decided who may call a route.
std::optional<Refusal> Broker::Admit(const Route& route, Call& call) {
  switch (route.access) {
    case Access::kAnyone: return std::nullopt;
    case Access::kAttested: {
      auto attestation = AttestationOf(call);
      if (!attestation.ok()) {
        const bool missing = attestation.error().code.starts_with("session.");
        return missing ? TokenMissing(attestation.error()) : TokenRefused(attestation.error());
      }
      call.attestation = std::move(*attestation);
      return std::nullopt;
    }
    case Access::kAuditor:
    case Access::kAdmin:
      call.role = parts_.roles.Of(BearerToken(call.request.authorization));
      if (call.role == Role::kAdmin || (call.role == Role::kAuditor && route.access == Access::kAuditor))
        return std::nullopt;
      ++metrics_.admin_refusals;
      peers_.Take(call.peer, Cost::kAdminFailure, call.now);
      return call.role == Role::kAuditor ? WrongRole("auditor", call.request.path) : NoAdmin(call.request.path);
  }
  return NoAdmin(call.request.path);
}

// A session that attested counts first, then a token; both at once must be of the same attestation.
Result<Attestation> Broker::AttestationOf(const Call& call) {
  std::string id;
  Error no_session =
      Err("session.none", "request", "carries neither the cookie of an attested session nor an attestation token");
  if (const std::string cookie = SessionCookie(call.request.cookie); !cookie.empty()) {
    auto session = sessions_.Find(cookie, call.now);
    if (!session.ok()) no_session = session.error();
    else if (session->state == SessionState::kAttested) id = session->id;
    else
      no_session = Err("session.not-attested", "session", "has not attested yet: send the evidence to /attest first");
  }
  const std::string_view token = BearerToken(call.request.authorization);
  if (!token.empty()) {
    ASSIGN_OR_RETURN(const std::string claims_text, kbs::VerifyJwt(token_public_key_, token, call.now));
    ASSIGN_OR_RETURN(const Json claims, ParseJson(claims_text, "token"));
    ASSIGN_OR_RETURN(const std::string token_id, JsonString(claims, "jti", "token"));
    if (!id.empty() && id != token_id)
      return Err("token.other-session", "token", "is not of the session whose cookie came with it");
    id = token_id;
  }
  if (id.empty()) return no_session;
  ASSIGN_OR_RETURN(auto attestation, attestations_.Get(id, call.now));
  if (!attestation)
    return Err("token.unknown", "token", "stands for no attestation that this broker (still) knows: attest again");
  if (attestation->environment != "hardware" && !options_.insecure_accept_emulated) {
    // A broker that was started with the flag before gave this token.
    return Err("environment.emulated", "token", "is of an emulator, which this broker does not accept (any more)");
  }
  return std::move(*attestation);
}

HttpResponse Broker::Health(const Call&) {
  HttpResponse out;
  out.status = 200;
  return out;
}

HttpResponse Broker::ShowMetrics(const Call&) {
  HttpResponse out;
  out.status = 200;
  out.content_type = metrics::kContentType;
  out.body = metrics_.registry.Text();
  return out;
}

HttpResponse Broker::Auth(const Call& call) {
  ++metrics_.auth_requests;
  auto refuse = [&](Error why) {
    ++metrics_.auth_errors;
    log::Info("auth refused", {{"code", why.code}, {"remote", call.request.remote}, {"sandbox", call.request.sandbox}});
    return Refuse(AuthFailed(std::move(why)));
  };
  auto request = kbs::ParseAuthRequest(call.request.body);
  if (!request.ok()) return refuse(request.error());
  if (request->version != kbs::kProtocolVersion) {
    return refuse(Err("kbs.protocol-version", "request.version",
                      "KBS Client Protocol Version Mismatch: expect =0.4.0 while the request is " + request->version));
  }
  if (!evidence::IsKnownTee(request->tee))
    return refuse(Err("attest.unsupported-tee", request->tee,
                      "is not verified by this broker; it takes " + evidence::KnownTees() + ", with nvidia devices"));
  auto session = sessions_.Start(request->tee, call.peer, call.now);
  if (!session.ok()) {
    ++metrics_.auth_errors;
    const bool of_all = std::string_view(session.error().code) == "session.too-many";
    const std::chrono::seconds wait = sessions_.UntilPlace(call.now);
    return Refuse(Later(call, of_all ? NoPlace(session.error(), wait) : TooMany(session.error(), wait)));
  }
  HttpResponse out = JsonAnswer(kbs::Challenge{session->nonce, R"("")"}.ToJson());
  out.set_cookie = CookieFor(*session);
  return out;
}

HttpResponse Broker::Attest(const Call& call) {
  ++metrics_.attestation_requests;
  auto refuse = [&](Error why, std::string checks) {
    ++metrics_.attestation_failures;
    log::Warning("attestation refused", {{"code", why.code},
                                         {"subject", why.subject},
                                         {"reason", why.text},
                                         {"remote", call.request.remote},
                                         {"sandbox", call.request.sandbox}});
    return Refuse(AttestFailed(std::move(why), std::move(checks)));
  };
  const std::string id = SessionCookie(call.request.cookie);
  if (id.empty()) return refuse(Err("session.none", "request", "has no kbs-session-id cookie: start with /auth"), "");
  auto request = kbs::ParseAttestRequest(call.request.body);
  if (!request.ok()) return refuse(request.error(), "");
  auto session = sessions_.BeginAttempt(id, request->nonce, call.now);
  if (!session.ok()) return refuse(session.error(), "");
  if (auto key = kbs::JwkKey(request->tee_pubkey); !key.ok()) return refuse(key.error(), "");

  const Appraisal appraisal = parts_.appraiser.Appraise(session->tee, *request, call.now);
  ++metrics_.attested.With({session->tee, appraisal.environment.empty() ? "unknown" : appraisal.environment,
                            appraisal.accepted ? "accepted" : "refused"});
  LedgerEntry entry{"attest",
                    appraisal.accepted,
                    appraisal.accepted ? "" : appraisal.why.code,
                    session->id,
                    "",
                    "agent",
                    appraisal.environment,
                    ""};
  if (!appraisal.accepted) {
    entry.details_json = R"({"why":)" +
                         Json{{"subject", appraisal.why.subject}, {"text", appraisal.why.text}}.dump(
                             -1, ' ', false, Json::error_handler_t::replace) +
                         R"(,"failed":)" + appraisal.failed_json + "}";
    if (auto recorded = ledger_.Append(entry, call.now); !recorded.ok()) return Refuse(Broken(recorded.error()));
    return refuse(appraisal.why, appraisal.failed_json);
  }
  if (Status first = sessions_.MarkAttested(session->id, call.now); !first.ok()) return refuse(first.error(), "");
  const Attestation attestation{session->id, call.now + options_.token_lifetime, appraisal.environment,
                                request->tee_pubkey, appraisal.claims_json};
  entry.details_json = R"({"claims":)" + appraisal.claims_json + "}";
  {
    Database::Transaction transaction(parts_.db);
    Status kept = attestations_.Put(attestation, call.now);
    if (kept.ok()) {
      if (auto recorded = ledger_.Append(entry, call.now); !recorded.ok()) kept = recorded.error();
    }
    if (kept.ok()) kept = transaction.Commit();
    if (!kept.ok()) return Refuse(Broken(kept.error()));
  }
  ++metrics_.attestation_successes;
  log::Info("attested", {{"session", session->id},
                         {"environment", appraisal.environment},
                         {"remote", call.request.remote},
                         {"sandbox", call.request.sandbox}});
  const std::string claims =
      kbs::MakeEarClaims({call.now, attestation.expires, options_.issuer, "ccgpu", "ccgpu-broker " + options_.version,
                          appraisal.environment, session->id, appraisal.submods});
  HttpResponse out = JsonAnswer(kbs::MakeTokenResponse(kbs::SignJwt(parts_.token_key, claims)));
  out.set_cookie = CookieFor(*session);
  return out;
}

HttpResponse Broker::DenyRelease(const Call& call, const std::string& resource, Error why, std::string checks_json) {
  ++metrics_.policy_violations;
  log::Warning("release denied", {{"resource", resource},
                                  {"sandbox", call.request.sandbox},
                                  {"session", call.attestation->id},
                                  {"code", why.code},
                                  {"subject", why.subject},
                                  {"reason", why.text}});
  LedgerEntry entry{"release", false, why.code, call.attestation->id, resource, "agent", call.attestation->environment,
                    ""};
  entry.details_json =
      R"({"why":)" +
      Json{{"subject", why.subject}, {"text", why.text}}.dump(-1, ' ', false, Json::error_handler_t::replace) +
      R"(,"reasons":)" + checks_json + "}";
  if (auto recorded = ledger_.Append(entry, call.now); !recorded.ok()) return Refuse(Broken(recorded.error()));
  return Refuse(PolicyDenied(std::move(why), std::move(checks_json)));
}

HttpResponse Broker::GetResource(const Call& call) {
  auto path = kbs::ParseResourcePath(call.rest);
  if (!path.ok()) return Refuse(BadRequest(path.error()));
  const std::string resource = path->ToString();
  auto policy_text = objects_.Get(ObjectKind::kReleasePolicy, resource);
  if (!policy_text.ok()) return Refuse(Broken(policy_text.error()));
  // Nothing tells someone without the right whether the resource exists.
  if (!*policy_text)
    return DenyRelease(call, resource, Err("release.no-policy", resource, "has no release policy, so nobody gets it"),
                       "[]");
  auto policy = policy::ParseKeyReleasePolicy(ToText(**policy_text), "release-policy");
  if (!policy.ok()) return Refuse(Broken(policy.error()));
  if (!policy::AppliesTo(*policy, resource)) {
    return DenyRelease(call, resource,
                       Err("release.other-resource", resource, "its release policy is meant for other resources"),
                       "[]");
  }
  const policy::Decision decision = policy::Decide(*policy, call.attestation->claims_json);
  const std::string reasons = decision.ReasonsJson();
  if (!decision.allow) return DenyRelease(call, resource, decision.ToError(), reasons);

  auto content = objects_.Get(ObjectKind::kResource, resource);
  if (!content.ok()) return Refuse(Broken(content.error()));
  if (!*content) return Refuse(ResourceMissing(resource));
  auto jwe = kbs::EncryptJwe(call.attestation->key, **content, parts_.random);
  Wipe(**content);
  if (!jwe.ok()) {
    Refusal refusal = Broken(jwe.error());
    refusal.variant = "JweError";
    refusal.detail = "JWE failed";
    return Refuse(refusal);
  }
  // No record, no release.
  const LedgerEntry entry{"release",
                          true,
                          "",
                          call.attestation->id,
                          resource,
                          "agent",
                          call.attestation->environment,
                          R"({"policy":)" + Json(policy->name).dump(-1, ' ', false, Json::error_handler_t::replace) +
                              R"(,"reasons":)" + reasons + "}"};
  if (auto recorded = ledger_.Append(entry, call.now); !recorded.ok()) return Refuse(Broken(recorded.error()));
  ++metrics_.policy_approvals;
  ++metrics_.resource_reads;
  ++metrics_.releases;
  if (const auto took = sessions_.FirstRelease(call.attestation->id)) metrics_.handshake_seconds.Observe(took->count());
  log::Info("released", {{"resource", resource},
                         {"session", call.attestation->id},
                         {"environment", call.attestation->environment},
                         {"sandbox", call.request.sandbox}});
  return JsonAnswer(std::move(*jwe));
}

}  // namespace ccgpu::broker
