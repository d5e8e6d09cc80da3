#include "key-broker/protocol/refusal.h"

namespace ccgpu::broker {

HttpResponse ToResponse(const Refusal& refusal, const RefusalStyle& style) {
  HttpResponse out;
  const bool unknown_route = refusal.variant == "InvalidRequestPath" || refusal.variant == "PluginNotFound";
  const bool later = refusal.retry_after.count() > 0;
  out.status = unknown_route || later || style.strict_status ? refusal.strict_status : 401;
  out.retry_after = refusal.retry_after;
  out.content_type = "application/json";
  out.reason = refusal.why.code;
  out.our_fault = refusal.strict_status == 500;
  kbs::ErrorBody body{refusal.variant, refusal.detail, std::nullopt, ""};
  if (style.explain) {
    body.why = refusal.why;
    body.checks_json = refusal.checks_json;
  }
  out.body = body.ToJson();
  return out;
}

Refusal RouteUnknown(const std::string& path) {
  return {404, "InvalidRequestPath", "Request path " + path + " is invalid",
          Err("broker.unknown-route", path, "is no route of this broker"), ""};
}
Refusal PluginUnknown(const std::string& plugin) {
  return {404, "PluginNotFound", "Plugin " + plugin + " not found",
          Err("broker.unknown-route", plugin, "is neither a route nor a plugin of this broker"), ""};
}
Refusal AuthFailed(Error why) {
  std::string detail = "Attestation error: RCAR handshake Auth failed: " + why.ToString();
  return {400, "AttestationError", std::move(detail), std::move(why), ""};
}
Refusal TooMany(Error why, std::chrono::seconds retry_after) {
  std::string detail = "Too many requests: try again in " + std::to_string(retry_after.count()) + " s";
  return {429, "TooManyRequests", std::move(detail), std::move(why), "", retry_after};
}
Refusal NoPlace(Error why, std::chrono::seconds retry_after) {
  Refusal out = AuthFailed(std::move(why));
  out.strict_status = 503;
  out.retry_after = retry_after;
  return out;
}
Refusal AttestFailed(Error why, std::string checks_json) {
  return {401, "AttestationError", "Attestation error: RCAR handshake Attest failed", std::move(why),
          std::move(checks_json)};
}
Refusal TokenMissing(Error why) { return {401, "TokenNotFound", "Attestation Token not found", std::move(why), ""}; }
Refusal TokenRefused(Error why) { return {401, "TokenVerifierError", "Token Verifier error", std::move(why), ""}; }
Refusal PolicyDenied(Error why, std::string checks_json) {
  return {403, "PolicyDeny", "Access denied by policy", std::move(why), std::move(checks_json)};
}
Refusal ResourceMissing(const std::string& path) {
  return {404, "PluginInternalError", "Plugin internal error",
          Err("broker.no-such-resource", path, "does not exist; put it with `ccgpu secret put`"), ""};
}
Refusal BadRequest(Error why) {
  std::string detail = "Plugin internal error";
  return {400, "PluginInternalError", std::move(detail), std::move(why), ""};
}
Refusal Broken(Error why) { return {500, "PluginInternalError", "Plugin internal error", std::move(why), ""}; }
Refusal NoAdmin(const std::string& path) {
  return {401, "AdminAuthAccess",
          "admin access denied for endpoint " + path + ": Cannot verify token with any of the issuers",
          Err("admin.no-token", path, "wants the admin token of this broker (file admin-token in its state folder)"),
          ""};
}
Refusal WrongRole(const std::string& role, const std::string& path) {
  return {403, "AdminAuthAccess",
          "admin access denied for endpoint " + path + ": Role " + role + " not allowed for path",
          Err("admin.wrong-role", path, "is not for the role " + role), ""};
}

}  // namespace ccgpu::broker
