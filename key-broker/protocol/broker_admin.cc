// The admin's and auditor's routes of the broker. Who may call them was decided before (Broker::Admit).
#include "base/json.h"
#include "base/log.h"
#include "key-broker/protocol/broker.h"
#include "trust/kbs/resource_path.h"
#include "trust/policy/key_release.h"

namespace ccgpu::broker {
namespace {

constexpr int64_t kDefaultDecisions = 100, kMaxDecisions = 1000;

HttpResponse Answer(std::string content_type, std::string body) {
  HttpResponse out;
  out.status = 200;
  out.content_type = std::move(content_type);
  out.body = std::move(body);
  return out;
}

// People who hold a token are told everything, with the status that fits.
HttpResponse Tell(const Refusal& refusal) { return ToResponse(refusal, {.strict_status = true, .explain = true}); }

const char* RoleName(Role role) { return role == Role::kAdmin ? "admin" : role == Role::kAuditor ? "auditor" : "none"; }

Result<int64_t> Number(const std::map<std::string, std::string>& query, const char* key, int64_t fallback,
                       int64_t limit) {
  const auto it = query.find(key);
  if (it == query.end()) return fallback;
  if (it->second.empty() || it->second.size() > 15 || it->second.find_first_not_of("0123456789") != std::string::npos ||
      std::stoll(it->second) > limit) {
    return Err("broker.bad-query", key, "must be a number up to " + std::to_string(limit));
  }
  return std::stoll(it->second);
}

}  // namespace

Status Broker::RecordChange(const Call& call, const char* what, ObjectKind kind, const std::string& resource,
                            int64_t version) {
  LedgerEntry entry{"admin", true, "", "", resource, RoleName(call.role), "", ""};
  entry.details_json = Json{
      {"action", what},
      {"object", kind == ObjectKind::kResource ? "resource" : "release-policy"},
      {"version", version}}.dump();
  auto recorded = ledger_.Append(entry, call.now);
  return recorded.ok() ? Ok() : Status(recorded.error());
}

HttpResponse Broker::Put(ObjectKind kind, const Call& call, const std::string& resource) {
  {
    Database::Transaction transaction(parts_.db);
    auto version = objects_.Put(kind, resource, AsBytes(call.request.body), call.now);
    Status done = version.ok() ? RecordChange(call, "put", kind, resource, *version) : Status(version.error());
    if (done.ok()) done = transaction.Commit();
    if (!done.ok()) return Tell(Broken(done.error()));
  }
  if (Status synced = parts_.db.Sync(); !synced.ok()) return Tell(Broken(synced.error()));
  ++metrics_.resource_writes;
  log::Info("put", {{"resource", resource},
                    {"what", kind == ObjectKind::kResource ? "resource" : "release-policy"},
                    {"role", RoleName(call.role)}});
  return Answer("text/xml", "");
}

HttpResponse Broker::PutResource(const Call& call) {
  auto path = kbs::ParseResourcePath(call.rest);
  if (!path.ok()) return Tell(BadRequest(path.error()));
  return Put(ObjectKind::kResource, call, path->ToString());
}

HttpResponse Broker::PutPolicy(const Call& call) {
  auto path = kbs::ParseResourcePath(call.rest);
  if (!path.ok()) return Tell(BadRequest(path.error()));
  const auto file = call.request.query.find("file");  // how the caller calls the document, for error positions
  const std::string name =
      file != call.request.query.end() && file->second.size() <= 256 ? file->second : "release-policy";
  auto policy = policy::ParseKeyReleasePolicy(call.request.body, name);
  if (!policy.ok()) return Tell(BadRequest(policy.error()));
  if (!policy::AppliesTo(*policy, path->ToString())) {
    return Tell(BadRequest(Err("release.other-resource", path->ToString(),
                               "is not among the resources that this policy names (spec.resources)")));
  }
  return Put(ObjectKind::kReleasePolicy, call, path->ToString());
}

HttpResponse Broker::GetPolicy(const Call& call) {
  auto path = kbs::ParseResourcePath(call.rest);
  if (!path.ok()) return Tell(BadRequest(path.error()));
  auto text = objects_.Get(ObjectKind::kReleasePolicy, path->ToString());
  if (!text.ok()) return Tell(Broken(text.error()));
  if (!*text) return Tell(ResourceMissing(path->ToString()));
  return Answer("application/yaml", ToText(**text));
}

HttpResponse Broker::Delete(ObjectKind kind, const Call& call) {
  auto path = kbs::ParseResourcePath(call.rest);
  if (!path.ok()) return Tell(BadRequest(path.error()));
  const std::string resource = path->ToString();
  {
    Database::Transaction transaction(parts_.db);
    auto gone = objects_.Delete(kind, resource);
    // A policy was written for one secret: it must not silently hold for another one that gets the same name later.
    if (gone.ok() && kind == ObjectKind::kResource) {
      if (auto policy_gone = objects_.Delete(ObjectKind::kReleasePolicy, resource); !policy_gone.ok())
        gone = policy_gone.error();
    }
    if (!gone.ok()) return Tell(Broken(gone.error()));
    if (!*gone) return Tell(ResourceMissing(resource));
    Status done = RecordChange(call, "delete", kind, resource, 0);
    if (done.ok()) done = transaction.Commit();
    if (!done.ok()) return Tell(Broken(done.error()));
  }
  if (Status synced = parts_.db.Sync(); !synced.ok()) return Tell(Broken(synced.error()));
  ++metrics_.resource_deletes;
  log::Info("deleted", {{"resource", resource},
                        {"what", kind == ObjectKind::kResource ? "resource" : "release-policy"},
                        {"role", RoleName(call.role)}});
  return Answer("text/xml", "");
}

HttpResponse Broker::DeleteResource(const Call& call) { return Delete(ObjectKind::kResource, call); }
HttpResponse Broker::DeletePolicy(const Call& call) { return Delete(ObjectKind::kReleasePolicy, call); }

HttpResponse Broker::ListResources(const Call&) {
  auto resources = objects_.ListResources();
  if (!resources.ok()) return Tell(Broken(resources.error()));
  Json list = Json::array();
  for (const ObjectInfo& info : *resources) {
    list.push_back({{"path", info.path},
                    {"version", info.version},
                    {"size", info.size},
                    {"updated", FormatTime(info.updated)},
                    {"release_policy", info.has_policy}});
  }
  return Answer("application/json", Json{{"resources", list}}.dump());
}

HttpResponse Broker::ListDecisions(const Call& call) {
  auto after = Number(call.request.query, "after", 0, 999999999999999);
  auto limit = Number(call.request.query, "limit", kDefaultDecisions, kMaxDecisions);
  if (!after.ok()) return Tell(BadRequest(after.error()));
  if (!limit.ok()) return Tell(BadRequest(limit.error()));
  auto list = ledger_.ListJson(*after, *limit);
  if (!list.ok()) return Tell(Broken(list.error()));
  std::string body = R"({"decisions":)" + *list;
  if (call.request.query.contains("verify")) {
    auto entries = ledger_.Verify();
    const Json chain = entries.ok() ? Json{{"ok", true}, {"entries", *entries}}
                                    : Json{{"ok", false},
                                           {"code", entries.error().code},
                                           {"subject", entries.error().subject},
                                           {"text", entries.error().text}};
    body += R"(,"chain":)" + chain.dump();
  }
  return Answer("application/json", body + "}");
}

}  // namespace ccgpu::broker
