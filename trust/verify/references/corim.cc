#include "trust/verify/references/corim.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "trust/verify/references/cose_context.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {
namespace {

constexpr std::string_view kContentTypes[] = {"application/rim+cbor", "application/corim-unsigned+cbor"};

struct CorimContext {
  CoseContext cose;
  const CorimOptions& options;
  std::optional<evidence::CorimMeta> meta;
  std::optional<evidence::ReferenceValues> values;
  std::string environment;
};

Finding ContentType(CorimContext& c) {
  if (!c.cose.message) return Finding::Skip("there is no message that could be parsed");
  const std::string& found = c.cose.message->content_type;
  if (std::find(std::begin(kContentTypes), std::end(kContentTypes), found) != std::end(kContentTypes))
    return Finding::Pass();
  // The same key may sign other things; what those bytes would mean as a CoRIM is nobody's statement.
  return Finding::Fail(Err("cose.content-type", "", "it was not signed as a CoRIM"))
      .Claim("content type", std::string(kContentTypes[0]), found)
      .At(c.cose.document, 0, 0);
}

Finding Parsed(CorimContext& c) {
  if (!c.cose.genuine) return Finding::Skip("nobody known signed it");
  auto values = evidence::ParseCorim(*c.cose.payload);
  if (!values.ok()) {
    return Finding::Fail(values.error().In(c.cose.document))
        .At(c.cose.document, c.cose.message->payload_offset, c.cose.payload->size());
  }
  c.values = std::move(*values);
  return Finding::Pass();
}

Finding Meta(CorimContext& c) {
  if (!c.cose.genuine) return Finding::Skip("nobody known signed it");
  if (!c.cose.message->corim_meta)
    return Finding::Fail(Err("corim.malformed", "", "its protected header does not name the signer (label 8)"))
        .At(c.cose.document, 0, 0);
  auto meta = evidence::ParseCorimMeta(*c.cose.message->corim_meta);
  if (!meta.ok()) return Finding::Fail(meta.error().In("signer")).At(c.cose.document, 0, 0);
  c.meta = std::move(*meta);
  return Finding::Pass();
}

bool SaysEmulatedText(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
  return text.find("emulated") != std::string::npos;
}

bool ComesFromEmulator(const CorimContext& c) {
  if (SaysEmulatedText(c.meta->signer)) return true;
  for (const Bytes& der : c.cose.message->x5chain) {
    const auto certificate = crypto::Certificate::FromDer(der);
    if (!certificate.ok() || SaysEmulatedText(certificate->SubjectName()) ||
        SaysEmulatedText(certificate->IssuerName()))
      return true;
  }
  return false;
}

Finding Environment(CorimContext& c) {
  if (!c.meta) return Finding::Skip("nobody known signed it");
  c.environment = ComesFromEmulator(c) ? "emulated" : "hardware";
  if (c.environment == "hardware" || c.options.insecure_accept_emulated) return Finding::Pass();
  return Finding::Fail(Err("environment.emulated", "",
                           "the reference values are an emulator's (signer \"" + c.meta->signer +
                               "\"); start the verifier with --insecure-accept-emulated to accept them"))
      .Claim("environment", "hardware", "emulated");
}

Finding Validity(CorimContext& c) {
  if (!c.meta || !c.values) return Finding::Skip("there is no CoRIM that could be parsed");
  bool ends = false;
  for (const auto& [from, to, what] : {std::tuple(c.meta->not_before, c.meta->not_after, "signature"),
                                       std::tuple(c.values->not_before, c.values->not_after, "CoRIM")}) {
    ends = ends || to.has_value();
    if ((!from || c.cose.now >= *from) && (!to || c.cose.now <= *to)) continue;
    const bool early = from && c.cose.now < *from;
    return Finding::Fail(Err("corim.expired", "",
                             std::string("the ") + what + (early ? " is not valid yet" : " is no longer valid") +
                                 ", judged at " + FormatTime(c.cose.now)))
        .Claim("validity", early ? FormatTime(*from) : FormatTime(*to), FormatTime(c.cose.now))
        .At(c.cose.document, 0, 0);
  }
  if (ends || !c.options.require_validity) return Finding::Pass();
  return Finding::Fail(Err("corim.expired", "", "its signer set no end to it")).At(c.cose.document, 0, 0);
}

Finding Versions(CorimContext& c) {
  if (!c.values) return Finding::Skip("there is no CoRIM that could be parsed");
  if (c.options.minimum_versions.empty()) return Finding::Skip("no lowest version was given");
  for (const evidence::ReferenceTag& tag : c.values->tags) {
    const auto least = c.options.minimum_versions.find(tag.id);
    if (least == c.options.minimum_versions.end() || tag.version >= least->second) continue;
    return Finding::Fail(Err("corim.rollback", "", "the CoMID " + tag.id + " is older than the oldest accepted one"))
        .Claim("version", std::to_string(least->second), std::to_string(tag.version));
  }
  return Finding::Pass();
}

Finding Something(CorimContext& c) {
  if (!c.values) return Finding::Skip("there is no CoRIM that could be parsed");
  for (const evidence::ReferenceTag& tag : c.values->tags) {
    if (!tag.triples.empty()) return Finding::Pass();
  }
  return Finding::Fail(Err("corim.no-values", "", "it has no reference values")).At(c.cose.document, 0, 0);
}

constexpr NamedCheck<CorimContext> kChecks[] = {
    {"corim-content-type", ContentType},
    {"reference-values", Parsed},
    {"signer", Meta},
    {"environment", Environment},
    {"validity", Validity},
    {"versions", Versions, true},
    {"not-empty", Something},
};

CoseRules WithoutContentType(CoseRules rules, bool accept_emulated) {
  rules.content_type.clear();
  rules.insecure_accept_emulated = accept_emulated;
  return rules;
}

}  // namespace

evidence::Verified<evidence::ReferenceValues> SealReferences(evidence::ReferenceValues values) {
  return {Passkey(), std::move(values)};
}

CorimVerdict VerifyCorim(const evidence::Unverified<Bytes>& document, const CorimOptions& options, TimePoint now) {
  CorimVerdict out;
  const CoseRules rules = WithoutContentType(options.signer, options.insecure_accept_emulated);
  CorimContext c{{document.unverified(), rules, now, "corim", {}, {}, {}, false}, options, {}, {}, ""};
  bool good = RunChecks(CoseChecks(), c.cose, "corim.", out.verdict.checks);
  good = RunChecks(std::span<const NamedCheck<CorimContext>>(kChecks), c, "corim.", out.verdict.checks) && good;
  nlohmann::ordered_json claims;
  claims["environment"] = c.environment;
  if (c.meta) claims["signer"] = c.meta->signer;
  if (c.values) {
    claims["corim"] = c.values->id;
    claims["tags"] = nlohmann::ordered_json::object();
    for (const evidence::ReferenceTag& tag : c.values->tags) claims["tags"][tag.id] = tag.version;
  }
  out.verdict.accepted = good;
  out.verdict.environment = c.environment;
  out.verdict.claims_json = claims.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (good) {
    Claims facts;
    facts.json = out.verdict.claims_json;
    facts.environment = c.environment;
    out.verdict.verified = Seal(std::move(facts));
    c.values->environment = c.environment;
    out.values = SealReferences(std::move(*c.values));
  }
  return out;
}

}  // namespace ccgpu::verify
