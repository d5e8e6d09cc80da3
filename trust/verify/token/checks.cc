// The checks that every signed token must pass (RFC 7515, RFC 7519, RFC 8725).
#include <algorithm>

#include "trust/verify/token/chain.h"
#include "trust/verify/token/context.h"

namespace ccgpu::verify {
namespace {

using std::chrono::seconds;

// Beyond the year 9999 a number is no time.
constexpr int64_t kLastSecond = 253402300799;

Finding Parsed(TokenContext& c) {
  auto jwt = evidence::ParseJwt(c.text);
  if (!jwt.ok()) return Finding::Fail(jwt.error()).At(c.document, 0, c.text.size());
  c.jwt = std::move(*jwt);
  return Finding::Pass();
}

Finding Key(TokenContext& c) {
  if (!c.jwt) return Finding::Skip(kNoToken);
  for (const TokenKey& key : c.rules.keys) {
    // A token without kid may be of any pinned key; one with kid only of that key, or of one pinned without a name.
    if (c.jwt->key_id.empty() || key.key_id.empty() || key.key_id == c.jwt->key_id) c.keys.push_back(key);
  }
  if (!c.keys.empty()) return Finding::Pass();
  if (!c.rules.x5c_roots.empty() && !c.jwt->x5c.empty()) {
    auto key = KeyOfChain(c.jwt->x5c, c.rules.x5c_roots, c.rules.insecure_accept_emulated, c.now);
    if (!key.ok()) return Finding::Fail(key.error()).At(c.document, 0, c.jwt->claims_offset - 1);
    auto pinned = PinnedKey(*key);
    if (!pinned.ok()) return Finding::Fail(pinned.error()).At(c.document, 0, c.jwt->claims_offset - 1);
    c.keys.push_back(std::move(*pinned));
    return Finding::Pass();
  }
  std::string known;
  for (const TokenKey& key : c.rules.keys) known += (known.empty() ? "" : ", ") + key.key_id;
  return Finding::Fail(
             Err("token.unknown-key", "",
                 "no pinned key has the kid \"" + c.jwt->key_id + "\"; pinned: " + (known.empty() ? "none" : known)))
      .Claim("kid", known, c.jwt->key_id)
      .At(c.document, 0, c.jwt->claims_offset - 1);
}

Finding Algorithm(TokenContext& c) {
  if (!c.jwt || c.keys.empty()) return Finding::Skip("there is no key that may have signed the token");
  std::string allowed;
  for (const TokenKey& key : c.keys) {
    const std::string name(evidence::JwsName(key.algorithm));
    if (allowed.find(name) == std::string::npos) allowed += (allowed.empty() ? "" : ", ") + name;
  }
  std::erase_if(c.keys, [&](const TokenKey& key) { return evidence::JwsName(key.algorithm) != c.jwt->algorithm; });
  if (!c.keys.empty()) return Finding::Pass();
  return Finding::Fail(Err("token.algorithm", "",
                           "its header says \"" + c.jwt->algorithm + "\"; the pinned keys are used with " + allowed))
      .Claim("alg", allowed, c.jwt->algorithm)
      .At(c.document, 0, c.jwt->claims_offset - 1);
}

Finding Signature(TokenContext& c) {
  if (!c.jwt || c.keys.empty()) return Finding::Skip("there is no key that may have signed the token");
  c.genuine = std::any_of(c.keys.begin(), c.keys.end(), [&](const TokenKey& key) {
    return evidence::VerifyJws(key.algorithm, key.key, AsBytes(c.jwt->signed_text), c.jwt->signature);
  });
  if (c.genuine) return Finding::Pass();
  return Finding::Fail(Err("token.signature-invalid", "",
                           "its signature fits no pinned key: it was changed, or signed by somebody else"))
      .At(c.document, c.jwt->signature_offset, c.text.size() - c.jwt->signature_offset);
}

Finding Issuer(TokenContext& c) {
  if (!c.jwt) return Finding::Skip(kNoToken);
  if (c.rules.issuer.empty())
    return Finding::Fail(Err("token.issuer-missing", "", "the verifier was not told whose tokens to believe"));
  const auto issuer = c.Text("iss");
  if (issuer == c.rules.issuer) return Finding::Pass();
  return c.AtClaims(Finding::Fail(Err("token.issuer", "", "it is of another issuer"))
                        .Claim("iss", c.rules.issuer, issuer.value_or("")));
}

Finding Audience(TokenContext& c) {
  if (!c.jwt) return Finding::Skip(kNoToken);
  const auto aud = c.jwt->claims.find("aud");
  if (aud == c.jwt->claims.end() && c.rules.audience.empty()) return Finding::Pass();
  const auto fits = [&](const Json& value) {
    return value.is_string() && !c.rules.audience.empty() && value.get<std::string>() == c.rules.audience;
  };
  if (aud != c.jwt->claims.end() && (fits(*aud) || (aud->is_array() && std::any_of(aud->begin(), aud->end(), fits))))
    return Finding::Pass();
  return c.AtClaims(Finding::Fail(Err("token.audience", "", "it is not meant for this verifier"))
                        .Claim("aud", c.rules.audience, aud == c.jwt->claims.end() ? "" : aud->dump()));
}

// Seconds since 1970. `present` is false when the claim is not there; a claim of another type is an error.
Result<int64_t> Seconds(const TokenContext& c, const char* name, bool& present) {
  const auto it = c.jwt->claims.find(name);
  present = it != c.jwt->claims.end();
  if (!present) return int64_t{0};
  // Numbers with a fraction are allowed by RFC 7519; nobody here writes them, and rounding would need a rule.
  if (!it->is_number_integer() || it->get<int64_t>() < 0 || it->get<int64_t>() > kLastSecond)
    return Err("token.malformed", "", std::string(name) + " is not a time in whole seconds");
  return it->get<int64_t>();
}

Finding Time(TokenContext& c) {
  if (!c.jwt) return Finding::Skip(kNoToken);
  bool has_exp = false, has_nbf = false, has_iat = false;
  const auto exp = Seconds(c, "exp", has_exp), nbf = Seconds(c, "nbf", has_nbf), iat = Seconds(c, "iat", has_iat);
  for (const auto* time : {&exp, &nbf, &iat}) {
    if (!time->ok()) return c.AtClaims(Finding::Fail(time->error()));
  }
  const int64_t now = c.now.time_since_epoch().count(), slack = c.rules.clock_slack.count();
  const auto fail = [&](Reason code, const char* claim, const std::string& want, int64_t at, const std::string& text) {
    return c.AtClaims(Finding::Fail(Err(code, "", text + ", judged at " + FormatTime(c.now)))
                          .Claim(claim, want, at == 0 ? "" : FormatTime(TimePoint(seconds(at)))));
  };
  if (!has_iat) return fail("token.malformed", "iat", "a time", 0, "it does not say when it was issued");
  if (!has_exp && c.rules.require_expiry)
    return fail("token.malformed", "exp", "a time", 0, "it does not say when it expires");
  if (has_exp && *exp <= now) return fail("token.expired", "exp", "later", *exp, "it has expired");
  if (now - *iat > c.rules.max_age.count())
    return fail("token.expired", "iat", "at most " + std::to_string(c.rules.max_age.count()) + " s old", *iat,
                "it was issued too long ago");
  if (*iat > now + slack)
    return fail("token.not-yet", "iat", "not later than now", *iat, "it was issued in the future");
  if (has_nbf && *nbf > now + slack)
    return fail("token.not-yet", "nbf", "not later than now", *nbf, "it is not valid yet");
  return Finding::Pass();
}

constexpr NamedCheck<TokenContext> kChecks[] = {
    {"parsed", Parsed}, {"key", Key},           {"algorithm", Algorithm}, {"signature", Signature},
    {"issuer", Issuer}, {"audience", Audience}, {"time", Time},
};

}  // namespace

std::optional<std::string> TokenContext::Text(const char* claim) const {
  if (!jwt) return std::nullopt;
  const auto it = jwt->claims.find(claim);
  if (it == jwt->claims.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

Finding&& TokenContext::AtClaims(Finding&& finding) const {
  finding.document = document;
  if (jwt) finding.offset = jwt->claims_offset, finding.length = jwt->signature_offset - 1 - jwt->claims_offset;
  return std::move(finding);
}

std::span<const NamedCheck<TokenContext>> TokenChecks() { return kChecks; }

Finding CheckStatedEnvironment(const std::optional<std::string>& stated, const std::string& silent,
                               bool accept_emulated, std::string& environment) {
  const std::string found = stated.value_or(silent);
  if (found == "hardware") {
    environment = found;
    return Finding::Pass();
  }
  if (found == "emulated") {
    environment = found;
    if (accept_emulated) return Finding::Pass();
    return Finding::Fail(Err("environment.emulated", "",
                             "the token is about evidence of an emulator, which protects nothing; start the verifier "
                             "with --insecure-accept-emulated to accept it"))
        .Claim("ccgpu.environment", "hardware", "emulated");
  }
  return Finding::Fail(Err("environment.unstated", "",
                           stated ? "the token's environment is a word that nobody knows"
                                  : "the token does not say whether real hardware was judged"))
      .Claim("ccgpu.environment", "hardware", found);
}

}  // namespace ccgpu::verify
