// What the checks of one signed token share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>

#include "trust/verify/internal.h"
#include "trust/verify/token/token.h"

namespace ccgpu::verify {

struct TokenContext {
  TokenContext(const std::string& t, const TokenRules& r, TimePoint at, std::string name)
      : text(t), rules(r), now(at), document(std::move(name)) {}

  const std::string& text;
  const TokenRules& rules;
  TimePoint now;
  std::string document;  // "token", "eat/overall", "eat/GPU-0"

  std::optional<evidence::Jwt> jwt;
  std::vector<TokenKey> keys;  // those that may have signed this token
  bool genuine = false;        // one of them did

  // The claim's text; nothing when it is absent or of another type.
  std::optional<std::string> Text(const char* claim) const;
  // Where the claims are in the token, for findings.
  Finding&& AtClaims(Finding&& finding) const;
};

// Parsed, key, algorithm, signature, issuer, audience, time.
std::span<const NamedCheck<TokenContext>> TokenChecks();

// The environment that a token states, judged: emulated only when accepted, unknown words never. `silent`: what it
// means when there is no statement.
Finding CheckStatedEnvironment(const std::optional<std::string>& stated, const std::string& silent,
                               bool accept_emulated, std::string& environment);

inline const std::string kNoToken = "there is no token that could be parsed";
inline const std::string kNotGenuine = "the token is not proved to be its issuer's";

}  // namespace ccgpu::verify
