#include "trust/verify/gpu/rim.h"

#include "base/encoding.h"
#include "trust/evidence/rim.h"
#include "trust/verify/anchors.h"
#include "trust/verify/gpu/context.h"

namespace ccgpu::verify {
namespace {

struct RimContext {
  std::string_view xml;
  const RimOptions& options;
  SharedContext& shared;
  std::optional<evidence::Rim> rim;
  std::vector<crypto::Certificate> chain;  // pinned root last
};

const std::string kNoChain = "there is no chain that ends in a pinned root";

Finding Parsed(RimContext& c) {
  auto rim = evidence::ParseRim(c.xml);
  if (!rim.ok()) return Finding::Fail(rim.error()).At("rim", 0, c.xml.size());
  c.rim = std::move(*rim);
  return Finding::Pass();
}

Finding Root(RimContext& c) {
  if (!c.rim) return Finding::Skip("there is no RIM that could be parsed");
  const crypto::Certificate* anchor =
      c.rim->chain.size() < 2 ? nullptr : FindAnchor(c.shared.anchors.rim_roots, c.rim->chain.back());
  if (!anchor) {
    return Finding::Fail(Err("rim.untrusted-root", "",
                             "its chain ends in \"" +
                                 (c.rim->chain.empty() ? "nothing" : c.rim->chain.back().SubjectName()) +
                                 "\", which is none of the " + std::to_string(c.shared.anchors.rim_roots.size()) +
                                 " pinned RIM roots"))
        .At("rim", 0, 0);
  }
  c.chain = c.rim->chain;
  c.chain.back() = *anchor;
  return CheckEnvironment(*anchor, RootKind::kRim, c.shared.anchors.insecure_accept_emulated, c.shared.environment)
      .At("rim", 0, 0);
}

Finding Chain(RimContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  Status status = CheckLinks(c.chain, {}, kRimCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(c.chain, c.shared.now, kRimCodes);
  const RevocationRules rules{c.options.require_revocation, c.options.allow_hold, c.options.revocation_max_age};
  for (size_t i = 0; status.ok() && i + 1 < c.chain.size(); ++i)
    status = c.shared.revocation.Check(c.chain, i, rules, kRimCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At("rim", 0, 0);
}

Finding Signature(RimContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  if (evidence::VerifyRimSignature(*c.rim)) return Finding::Pass();
  const bool changed = !Equal(c.rim->document_digest, c.rim->claimed_digest);
  return Finding::Fail(
             Err("rim.signature-invalid", "",
                 changed ? "its content is not what was signed"
                         : "its signature does not fit the key of \"" + c.rim->chain[0].SubjectCommonName() + "\""))
      .Claim("digest", HexEncode(c.rim->claimed_digest), HexEncode(c.rim->document_digest))
      .At("rim", 0, 0);
}

constexpr NamedCheck<RimContext> kChecks[] = {
    {"parsed", Parsed}, {"root", Root}, {"chain", Chain}, {"signature", Signature}};

}  // namespace

Verdict VerifyRim(std::string_view xml, const Collateral& collateral, const Anchors& anchors, const RimOptions& options,
                  TimePoint now) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now);
  RimContext context{xml, options, shared, {}, {}};
  verdict.accepted = RunChecks(std::span<const NamedCheck<RimContext>>(kChecks), context, "rim.", verdict.checks);
  verdict.environment = shared.environment;
  nlohmann::ordered_json claims = {{"environment", shared.environment}};
  if (context.rim) {
    claims["name"] = context.rim->name;
    claims["version"] = context.rim->colloquial_version;
    claims["product"] = context.rim->product;
    if (!context.rim->chain.empty()) claims["signer"] = context.rim->chain[0].SubjectCommonName();
  }
  verdict.claims_json = claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims facts;
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
