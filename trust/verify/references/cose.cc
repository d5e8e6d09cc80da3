#include "trust/verify/references/cose.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/jwt.h"
#include "trust/verify/references/cose_context.h"
#include "trust/verify/token/chain.h"

namespace ccgpu::verify {
namespace {

using evidence::JwsAlgorithm;

const std::string kNoMessage = "there is no message that could be parsed";

// COSE's numbers for JOSE's names.
std::optional<JwsAlgorithm> AlgorithmOf(int64_t number) {
  switch (number) {
    case evidence::cose_alg::kEs256: return JwsAlgorithm::kEs256;
    case evidence::cose_alg::kEs384: return JwsAlgorithm::kEs384;
    case evidence::cose_alg::kEs512: return JwsAlgorithm::kEs512;
    case evidence::cose_alg::kPs256: return JwsAlgorithm::kPs256;
    case evidence::cose_alg::kPs384: return JwsAlgorithm::kPs384;
    default: return std::nullopt;
  }
}
std::string Named(int64_t number) {
  const auto algorithm = AlgorithmOf(number);
  return algorithm ? std::string(evidence::JwsName(*algorithm)) : std::to_string(number);
}

Finding Parsed(CoseContext& c) {
  auto message = evidence::ParseCoseSign1(c.bytes);
  if (!message.ok()) return Finding::Fail(message.error().In(c.document)).At(c.document, 0, c.bytes.size());
  c.message = std::move(*message);
  return Finding::Pass();
}

Finding Tag(CoseContext& c) {
  if (!c.message) return Finding::Skip(kNoMessage);
  if (c.message->tagged || c.rules.allow_untagged) return Finding::Pass();
  return Finding::Fail(Err("cose.untagged", "", "it does not begin with the tag of a COSE_Sign1 (18)"))
      .At(c.document, 0, 1);
}

Finding Key(CoseContext& c) {
  if (!c.message) return Finding::Skip(kNoMessage);
  for (const CoseKey& key : c.rules.keys) {
    if (c.message->key_id.empty() || key.key_id.empty() || key.key_id == c.message->key_id) c.keys.push_back(key);
  }
  if (!c.keys.empty()) return Finding::Pass();
  if (!c.rules.x5chain_roots.empty() && !c.message->x5chain.empty()) {
    auto key = KeyOfChain(c.message->x5chain, c.rules.x5chain_roots, c.rules.insecure_accept_emulated, c.now);
    if (!key.ok()) return Finding::Fail(key.error()).At(c.document, 0, 0);
    auto pinned = PinnedCoseKey(*key);
    if (!pinned.ok()) return Finding::Fail(pinned.error()).At(c.document, 0, 0);
    c.keys.push_back(std::move(*pinned));
    return Finding::Pass();
  }
  return Finding::Fail(Err("cose.unknown-key", "",
                           "none of the " + std::to_string(c.rules.keys.size()) +
                               " pinned keys has its kid, and no "
                               "certificates of it end in a pinned root"))
      .Claim("kid", "a pinned key's", HexEncode(c.message->key_id));
}

Finding Algorithm(CoseContext& c) {
  if (!c.message || c.keys.empty()) return Finding::Skip("there is no key that may have signed it");
  std::string allowed;
  for (const CoseKey& key : c.keys) {
    const std::string name = Named(key.algorithm);
    if (allowed.find(name) == std::string::npos) allowed += (allowed.empty() ? "" : ", ") + name;
  }
  std::erase_if(c.keys, [&](const CoseKey& key) { return key.algorithm != c.message->algorithm; });
  if (!c.keys.empty()) return Finding::Pass();
  return Finding::Fail(Err("cose.algorithm", "",
                           "its protected header says " + Named(c.message->algorithm) +
                               "; the pinned keys are used with " + allowed))
      .Claim("alg", allowed, Named(c.message->algorithm));
}

Finding ContentType(CoseContext& c) {
  if (!c.message) return Finding::Skip(kNoMessage);
  if (c.rules.content_type.empty()) return Finding::Skip("any content type is accepted");
  if (c.message->content_type == c.rules.content_type) return Finding::Pass();
  return Finding::Fail(Err("cose.content-type", "", "it says that it is something else"))
      .Claim("content type", c.rules.content_type, c.message->content_type);
}

Finding Payload(CoseContext& c) {
  if (!c.message) return Finding::Skip(kNoMessage);
  if (c.message->payload.has_value() != c.rules.detached_payload.has_value()) {
    c.payload = c.message->payload ? c.message->payload : c.rules.detached_payload;
    return Finding::Pass();
  }
  return Finding::Fail(Err("cose.payload", "",
                           c.message->payload ? "it brings a payload, and another one was handed in beside it"
                                              : "its payload is detached and was not handed in"));
}

Finding Signature(CoseContext& c) {
  if (!c.message || !c.payload || c.keys.empty()) return Finding::Skip("there is no key or no payload");
  const Bytes data = evidence::CoseSigStructure(c.message->protected_header, c.rules.external_aad, *c.payload);
  c.genuine = std::any_of(c.keys.begin(), c.keys.end(), [&](const CoseKey& key) {
    const auto algorithm = AlgorithmOf(key.algorithm);
    return algorithm && evidence::VerifyJws(*algorithm, key.key, data, c.message->signature);
  });
  if (c.genuine) return Finding::Pass();
  return Finding::Fail(Err("cose.signature-invalid", "",
                           "its signature fits no pinned key: it was changed, or signed by somebody else"))
      .At(c.document, c.message->signature_offset, c.message->signature.size());
}

constexpr NamedCheck<CoseContext> kChecks[] = {
    {"parsed", Parsed},
    {"tag", Tag},
    {"key", Key},
    {"algorithm", Algorithm},
    {"content-type", ContentType, true},
    {"payload", Payload},
    {"signature", Signature},
};

}  // namespace

std::span<const NamedCheck<CoseContext>> CoseChecks() { return kChecks; }

Result<CoseKey> PinnedCoseKey(const crypto::PublicKey& key, Bytes key_id) {
  ASSIGN_OR_RETURN(const JwsAlgorithm algorithm, evidence::DefaultAlgorithm(key));
  int64_t number = evidence::cose_alg::kPs256;
  if (algorithm == JwsAlgorithm::kEs256) number = evidence::cose_alg::kEs256;
  if (algorithm == JwsAlgorithm::kEs384) number = evidence::cose_alg::kEs384;
  if (algorithm == JwsAlgorithm::kEs512) number = evidence::cose_alg::kEs512;
  return CoseKey{key, number, std::move(key_id)};
}

Verdict VerifyCose(const evidence::Unverified<Bytes>& message, const CoseRules& rules, TimePoint now) {
  Verdict verdict;
  CoseContext c{message.unverified(), rules, now, "cose", {}, {}, {}, false};
  verdict.accepted = RunChecks(CoseChecks(), c, "cose.", verdict.checks);
  nlohmann::ordered_json claims = nlohmann::ordered_json::object();
  if (c.message) claims["alg"] = Named(c.message->algorithm), claims["content_type"] = c.message->content_type;
  if (c.payload) claims["payload_sha256"] = HexEncode(crypto::Sha256(*c.payload));
  verdict.claims_json = claims.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims facts;
    facts.json = verdict.claims_json;
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
