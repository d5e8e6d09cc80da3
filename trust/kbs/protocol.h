// The messages of the KBS attestation protocol 0.4.0 (request, challenge, attestation, response), for both sides.
// Parts that only the other layers understand (evidence, extra parameters) stay JSON text here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::kbs {

inline constexpr std::string_view kProtocolVersion = "0.4.0";
inline constexpr std::string_view kPathPrefix = "/kbs/v0";
inline constexpr std::string_view kSessionCookie = "kbs-session-id";
// Ours: the agent says which sandbox it runs in, so that logs of both sides can be joined. Nobody trusts it.
inline constexpr std::string_view kSandboxHeader = "Ccgpu-Sandbox";
inline constexpr size_t kMaxRequestBody = 2u << 20;

// POST /kbs/v0/auth
struct AuthRequest {
  std::string version{kProtocolVersion};
  std::string tee = "snp";
  std::string extra_params_json = R"({"supported-hash-algorithms":["sha384"]})";
  std::string ToJson() const;
};
Result<AuthRequest> ParseAuthRequest(std::string_view json);  // any version: judging it is the broker's work
bool IsKnownTee(std::string_view tee);

// Its answer.
struct Challenge {
  std::string nonce;  // base64 of 32 random bytes; used as text
  std::string extra_params_json = R"("")";
  std::string ToJson() const;
};
Result<Challenge> ParseChallenge(std::string_view json);

// POST /kbs/v0/attest
struct AttestRequest {
  std::optional<std::string> init_data;  // the whole document, format "toml"
  std::string nonce;
  PublicJwk tee_pubkey;
  std::string primary_evidence_json;  // an object
  std::string additional_evidence;    // a JSON map TEE -> evidence as text, or ""
  std::string ToJson() const;
};
Result<AttestRequest> ParseAttestRequest(std::string_view json);
// additional_evidence taken apart: TEE name -> JSON text of its evidence. "" gives an empty map.
Result<std::map<std::string, std::string>> ParseAdditionalEvidence(std::string_view text);
std::string MakeAdditionalEvidence(const std::map<std::string, std::string>& evidence_json_by_tee);

// Its answer.
std::string MakeTokenResponse(std::string_view token);
Result<std::string> ParseTokenResponse(std::string_view json);

// Every refusal: {"type":"https://.../errors/<variant>","detail":"..."} and, when the broker explains itself, "ccgpu".
struct ErrorBody {
  std::string variant;  // "PolicyDeny", "TokenNotFound", ...
  std::string detail;
  std::optional<Error> why;  // "ccgpu": {"code","subject","text"}
  std::string checks_json;   // "ccgpu": {"checks": [...]}; empty when there are none
  std::string ToJson() const;
};
Result<ErrorBody> ParseErrorBody(std::string_view json);

}  // namespace ccgpu::kbs
