// Tokens of other verifiers (NVIDIA's detached EAT, EAR) and COSE messages (signed CoRIM): judged under the keys that
// the caller names with --key, never under keys that came with them.
#include <algorithm>

#include "base/encoding.h"
#include "cli/evidence/formats.h"
#include "cli/evidence/keys.h"
#include "trust/evidence/corim.h"
#include "trust/evidence/cose.h"
#include "trust/evidence/nras.h"

namespace ccgpu::cli {
namespace {

std::string_view Trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r\n");
  return from == std::string_view::npos ? std::string_view()
                                        : text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

Result<const InputFile*> One(const EvidenceCase& files) {
  if (files.evidence.size() == 1) return &files.evidence[0];
  return Err("input.two-formats", files.evidence[1].path, "is a second token or message: one at a time");
}

Result<verify::TokenRules> Rules(const Expectations& expect, std::string_view issuer) {
  verify::TokenRules out;
  ASSIGN_OR_RETURN(out.keys, TokenKeys(expect));
  const EvidencePolicy::Token& policy = expect.policy.token;
  out.issuer = policy.issuer.empty() ? std::string(issuer) : policy.issuer;
  out.audience = policy.audience;
  out.max_age = policy.max_age;
  out.insecure_accept_emulated = expect.anchors.insecure_accept_emulated;
  return out;
}

// A nonce as tokens spell it: hexadecimal, base64url or base64. Empty when it is none of these.
Bytes NonceOf(const Json& claims) {
  const auto it = claims.find("eat_nonce");
  if (it == claims.end() || !it->is_string()) return {};
  const std::string text = it->get<std::string>();
  for (auto decoded : {HexDecode(text), Base64UrlDecode(text), Base64Decode(text)}) {
    if (decoded.ok()) return *decoded;
  }
  return ToBytes(AsBytes(text));
}

OrderedJson TokenJson(const std::string& token) {
  auto jwt = evidence::ParseJwt(token);
  if (!jwt.ok()) return {{"unreadable", jwt.error().ToString()}};
  return {{"algorithm", jwt->algorithm}, {"key_id", jwt->key_id}, {"claims", OrderedJson(jwt->claims)}};
}

bool IsCbor(const InputFile& file) {
  // Tags 18 (COSE_Sign1), 501 (CoRIM) and 502 (signed CoRIM).
  return file.bytes.starts_with("\xd2\x84") || file.bytes.starts_with("\xd9\x01\xf5") ||
         file.bytes.starts_with("\xd9\x01\xf6");
}
bool SaysCorim(const InputFile& file) {
  return file.bytes.starts_with("\xd9\x01\xf5") || file.bytes.starts_with("\xd9\x01\xf6") ||
         file.bytes.find("application/rim+cbor") != std::string::npos;
}

}  // namespace

bool DetectNras(const InputFile& file) {
  return file.json.is_array() && file.json.size() == 2 && file.json[0].is_array() && !file.json[0].empty() &&
         file.json[0][0] == "JWT";
}

Result<OrderedJson> ShowNras(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  auto bundle = evidence::ParseDetachedEat(file->bytes);
  if (!bundle.ok()) return bundle.error().In(file->path);
  OrderedJson out = {{"format", files.format->name}, {"overall", TokenJson(bundle->overall)}};
  for (const auto& [name, token] : bundle->devices) out["devices"][name] = TokenJson(token);
  return out;
}

Result<Judgement> VerifyNras(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  auto bundle = evidence::ParseDetachedEat(file->bytes);
  if (!bundle.ok()) return bundle.error().In(file->path);
  verify::NrasOptions options;
  ASSIGN_OR_RETURN(options.token, Rules(expect, verify::kNrasIssuer));
  Bytes said;
  if (auto jwt = evidence::ParseJwt(bundle->overall); jwt.ok()) said = NonceOf(jwt->claims);
  options.nonce = expect.nonce.value_or(said);
  options.device_count = expect.gpus;
  options.allowed_ueids = expect.policy.gpus.ueids;
  options.require_revocation = expect.policy.gpu.require_revocation;
  Judgement out;
  out.verdict = verify::VerifyNrasToken(evidence::Unverified<evidence::DetachedEat>(*bundle), options, expect.at);
  AskNonce(expect, said, "token", out);
  out.documents["token"] = ToBytes(AsBytes(bundle->overall));
  return out;
}

bool DetectEar(const InputFile& file) {
  const std::string_view text = Trimmed(file.bytes);
  return text.starts_with("eyJ") && std::count(text.begin(), text.end(), '.') == 2 && evidence::ParseJwt(text).ok();
}

Result<OrderedJson> ShowEar(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  return OrderedJson{{"format", files.format->name}, {"token", TokenJson(std::string(Trimmed(file->bytes)))}};
}

Result<Judgement> VerifyEar(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  const std::string token(Trimmed(file->bytes));
  verify::EarOptions options;
  ASSIGN_OR_RETURN(options.token, Rules(expect, ""));
  if (!expect.policy.token.worst_status.empty()) options.worst_status = expect.policy.token.worst_status;
  options.environment_when_silent = expect.policy.token.environment_when_silent;
  Bytes said;
  if (auto jwt = evidence::ParseJwt(token); jwt.ok()) said = NonceOf(jwt->claims);
  Judgement out;
  out.verdict = verify::VerifyEar(evidence::Unverified<std::string>(token), options, expect.at);
  AskNonce(expect, said, "token", out);
  out.documents["token"] = ToBytes(AsBytes(token));
  return out;
}

bool DetectCorim(const InputFile& file) { return IsCbor(file) && SaysCorim(file); }
bool DetectCose(const InputFile& file) { return IsCbor(file) && !SaysCorim(file); }

Result<OrderedJson> ShowCose(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  OrderedJson out = {{"format", files.format->name}};
  Bytes payload = ToBytes(AsBytes(file->bytes));
  if (auto message = evidence::ParseCoseSign1(AsBytes(file->bytes)); message.ok()) {
    if (message->payload) payload = *message->payload;
    out["signed"] = true;
  } else if (!file->bytes.starts_with("\xd9\x01\xf5")) {
    return message.error().In(file->path);
  }
  out["payload_bytes"] = payload.size();
  out["payload_sha256"] = HexEncode(crypto::Sha256(payload));
  if (auto corim = evidence::ParseCorim(payload); corim.ok()) {
    out["id"] = corim->id;
    out["tags"] = OrderedJson::array();
    for (const evidence::ReferenceTag& tag : corim->tags) {
      OrderedJson one = {{"id", tag.id}, {"version", tag.version}, {"environments", OrderedJson::array()}};
      for (const evidence::ReferenceTriple& triple : tag.triples)
        one["environments"].push_back({{"vendor", triple.environment.vendor},
                                       {"model", triple.environment.model},
                                       {"class", triple.environment.class_id},
                                       {"measurements", triple.measurements.size()}});
      out["tags"].push_back(std::move(one));
    }
  }
  return out;
}
Result<OrderedJson> ShowCorim(const EvidenceCase& files) { return ShowCose(files); }

Result<Judgement> VerifyCose(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  ASSIGN_OR_RETURN(const verify::CoseRules rules, CoseRulesOf(expect));
  Judgement out;
  out.verdict = verify::VerifyCose(evidence::Unverified<Bytes>(ToBytes(AsBytes(file->bytes))), rules, expect.at);
  return out;
}

Result<Judgement> VerifyCorim(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const InputFile* file, One(files));
  verify::CorimOptions options;
  ASSIGN_OR_RETURN(options.signer, CoseRulesOf(expect));
  options.insecure_accept_emulated = expect.anchors.insecure_accept_emulated;
  Judgement out;
  out.verdict =
      verify::VerifyCorim(evidence::Unverified<Bytes>(ToBytes(AsBytes(file->bytes))), options, expect.at).verdict;
  return out;
}

}  // namespace ccgpu::cli
