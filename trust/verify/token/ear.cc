// EAR: attestation results of Veraison, of Confidential Containers' Trustee, and of our own broker.
#include <algorithm>

#include "trust/verify/token/context.h"

namespace ccgpu::verify {
namespace {

constexpr std::string_view kStatuses[] = {"none", "affirming", "warning", "contraindicated"};
constexpr std::string_view kVectorNames[] = {"instance-identity", "configuration",  "executables",    "file-system",
                                             "hardware",          "runtime-opaque", "storage-opaque", "sourced-data"};

struct EarContext {
  TokenContext token;
  const EarOptions& options;
  std::string environment;
};

// 0 none, 1 affirming, 2 warning, 3 contraindicated; nothing for other words.
std::optional<int> TierOf(std::string_view status) {
  const auto it = std::find(std::begin(kStatuses), std::end(kStatuses), status);
  if (it == std::end(kStatuses)) return std::nullopt;
  return static_cast<int>(it - std::begin(kStatuses));
}
int TierOf(int64_t value) {  // AR4SI 2.3.2
  if (value >= -1 && value <= 1) return 0;
  if (value >= -32 && value <= 31) return 1;
  if (value >= -96 && value <= 95) return 2;
  return 3;
}

Finding Profile(EarContext& c) {
  if (!c.token.jwt) return Finding::Skip(kNoToken);
  const std::string found = c.token.Text("eat_profile").value_or("");
  if (std::find(c.options.profiles.begin(), c.options.profiles.end(), found) != c.options.profiles.end())
    return Finding::Pass();
  return c.token.AtClaims(Finding::Fail(Err("token.kind", "", "it is not an EAR of a known profile"))
                              .Claim("eat_profile", c.options.profiles.empty() ? "" : c.options.profiles[0], found));
}

Finding Verifier(EarContext& c) {
  if (!c.token.jwt) return Finding::Skip(kNoToken);
  const auto it = c.token.jwt->claims.find("ear.verifier-id");
  if (it != c.token.jwt->claims.end() && it->is_object() && it->contains("developer") &&
      (*it)["developer"].is_string() && it->contains("build") && (*it)["build"].is_string())
    return Finding::Pass();
  return c.token.AtClaims(Finding::Fail(Err("token.malformed", "", "it does not say which verifier made it"))
                              .Claim("ear.verifier-id", "developer, build", ""));
}

Finding Nonce(EarContext& c) {
  if (!c.token.jwt) return Finding::Skip(kNoToken);
  if (c.options.nonce.empty()) return Finding::Skip("no nonce was given: the token is fresh by its times alone");
  const std::string found = c.token.Text("eat_nonce").value_or("");
  if (EqualConstantTime(AsBytes(found), AsBytes(c.options.nonce))) return Finding::Pass();
  return c.token.AtClaims(Finding::Fail(Err("token.nonce-mismatch", "", "it answers another nonce"))
                              .Claim("eat_nonce", c.options.nonce, found));
}

Finding Environment(EarContext& c) {
  if (!c.token.genuine) return Finding::Skip(kNotGenuine);
  return c.token.AtClaims(CheckStatedEnvironment(c.token.Text("ccgpu.environment"), c.options.environment_when_silent,
                                                 c.options.token.insecure_accept_emulated, c.environment));
}

// The worst tier of one submodule: what it states, and what its vector amounts to. An error is a text.
struct Tier {
  int stated = 3, vector = 0;
  std::string problem;
};

Tier TierOf(const Json& submod, bool emulated) {
  Tier out;
  const auto bad = [&](std::string text) {
    out.problem = std::move(text);
    return out;
  };
  if (!submod.is_object()) return bad("is not an object");
  const auto status = submod.find("ear.status");
  const auto stated = status != submod.end() && status->is_string() ? TierOf(status->get<std::string>()) : std::nullopt;
  if (!stated) return bad("has no known ear.status");
  out.stated = *stated;
  const auto vector = submod.find("ear.trustworthiness-vector");
  if (vector == submod.end()) return out;
  if (!vector->is_object()) return bad("has a trustworthiness vector that is not an object");
  int worst_of_all = 0;
  for (const auto& [name, value] : vector->items()) {
    if (std::find(std::begin(kVectorNames), std::end(kVectorNames), name) == std::end(kVectorNames))
      return bad("has the unknown trustworthiness claim " + name);
    if (!value.is_number_integer() || value.get<int64_t>() < -128 || value.get<int64_t>() > 127)
      return bad("has a trustworthiness claim that is not a number of one byte: " + name);
    const int tier = TierOf(value.get<int64_t>());
    worst_of_all = std::max(worst_of_all, tier);
    // Nothing but hardware is missing where hardware is emulated, and that was accepted by name.
    if (!(emulated && name == "hardware")) out.vector = std::max(out.vector, tier);
  }
  if (worst_of_all > out.stated) return bad("states a better status than its trustworthiness vector allows");
  // With the emulated hardware left out, the rest of the vector is what remains of the statement.
  if (emulated && worst_of_all == out.stated) out.stated = out.vector;
  return out;
}

Finding Submodules(EarContext& c) {
  if (!c.token.jwt) return Finding::Skip(kNoToken);
  const auto submods = c.token.jwt->claims.find("submods");
  const auto refuse = [&](Reason code, const std::string& name, const std::string& want, const std::string& text) {
    return c.token.AtClaims(Finding::Fail(Err(code, "", text)).Claim("submods." + name, want, ""));
  };
  if (submods == c.token.jwt->claims.end() || !submods->is_object() || submods->empty())
    return refuse("token.malformed", "", "at least one", "it has no submodules, so it says nothing about anything");
  const auto worst = TierOf(c.options.worst_status);
  if (!worst || *worst == 0 || *worst == 3)
    return refuse("token.result", "", "", "the worst accepted status must be affirming or warning");
  for (const auto& [name, submod] : submods->items()) {
    const Tier tier = TierOf(submod, c.environment == "emulated");
    if (!tier.problem.empty())
      return refuse("token.malformed", name, c.options.worst_status, "the submodule " + name + " " + tier.problem);
    const int found = std::max(tier.stated, tier.vector);
    // "none" is no statement, and nothing follows from nothing.
    if (found == 0 || found > *worst) {
      return c.token.AtClaims(Finding::Fail(Err("token.result", "", "its issuer did not affirm " + name))
                                  .Claim("submods." + name + ".ear.status", c.options.worst_status,
                                         std::string(kStatuses[static_cast<size_t>(found)])));
    }
  }
  return Finding::Pass();
}

constexpr NamedCheck<EarContext> kChecks[] = {
    {"profile", Profile},         {"verifier", Verifier},  {"nonce", Nonce, true},
    {"environment", Environment}, {"submods", Submodules},
};

}  // namespace

Verdict VerifyEar(const evidence::Unverified<std::string>& token, const EarOptions& options, TimePoint now) {
  Verdict verdict;
  EarContext c{TokenContext(token.unverified(), options.token, now, "token"), options, ""};
  bool good = RunChecks(TokenChecks(), c.token, "token.", verdict.checks);
  good = RunChecks(std::span<const NamedCheck<EarContext>>(kChecks), c, "ear.", verdict.checks) && good;
  nlohmann::ordered_json claims;
  claims["environment"] = c.environment;
  claims["ear"] = c.token.jwt ? nlohmann::ordered_json(c.token.jwt->claims) : nlohmann::ordered_json::object();
  verdict.accepted = good;
  verdict.environment = c.environment;
  verdict.claims_json = claims.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (good) {
    Claims facts;
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
