// A request that is not granted: what the client sees (KBS error body) and what we know (reason code, checks).
#pragma once

#include <string>

#include "key-broker/protocol/http.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::broker {

struct Refusal {
  // With --strict-status; otherwise 401, unless the route is unknown (404) or the client shall come back (429, 503).
  int strict_status = 401;
  std::string variant;  // CoCo's name of the error, which deployed clients know
  std::string detail;
  Error why;
  std::string checks_json;  // may be empty
  std::chrono::seconds retry_after{0};
};

struct RefusalStyle {
  bool strict_status = false;
  bool explain = false;  // adds "ccgpu": {code, subject, text, checks}
};

HttpResponse ToResponse(const Refusal& refusal, const RefusalStyle& style);

// The refusals of the protocol, with CoCo's texts.
Refusal RouteUnknown(const std::string& path);
Refusal PluginUnknown(const std::string& plugin);
Refusal AuthFailed(Error why);                                 // shows the cause, as CoCo does
Refusal TooMany(Error why, std::chrono::seconds retry_after);  // of one peer
Refusal NoPlace(Error why, std::chrono::seconds retry_after);  // of all together
Refusal AttestFailed(Error why, std::string checks_json);
Refusal TokenMissing(Error why);
Refusal TokenRefused(Error why);
Refusal PolicyDenied(Error why, std::string checks_json);
Refusal ResourceMissing(const std::string& path);
Refusal BadRequest(Error why);
Refusal Broken(Error why);                 // our fault: storage, encryption
Refusal NoAdmin(const std::string& path);  // no or unknown token
Refusal WrongRole(const std::string& role, const std::string& path);

}  // namespace ccgpu::broker
