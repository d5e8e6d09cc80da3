#include "cli/evidence/keys.h"

#include "base/file.h"

namespace ccgpu::cli {

Result<std::vector<verify::TokenKey>> TokenKeys(const Expectations& expect) {
  std::vector<verify::TokenKey> out;
  for (const std::string& text : expect.keys) {
    if (text.find("-----BEGIN PUBLIC KEY-----") != std::string::npos) {
      ASSIGN_OR_RETURN(const crypto::PublicKey key, crypto::PublicKey::FromPem(text));
      ASSIGN_OR_RETURN(verify::TokenKey pinned, verify::PinnedKey(key));
      out.push_back(std::move(pinned));
    } else {
      ASSIGN_OR_RETURN(const auto keys, verify::PinnedKeys(text, true));
      out.insert(out.end(), keys.begin(), keys.end());
    }
  }
  return out;
}

Result<verify::CoseRules> CoseRulesOf(const Expectations& expect) {
  verify::CoseRules out;
  out.insecure_accept_emulated = expect.anchors.insecure_accept_emulated;
  ASSIGN_OR_RETURN(const auto keys, TokenKeys(expect));
  for (const verify::TokenKey& key : keys) {
    ASSIGN_OR_RETURN(verify::CoseKey pinned, verify::PinnedCoseKey(key.key));
    out.keys.push_back(std::move(pinned));
  }
  return out;
}

Result<std::shared_ptr<const verify::References>> ReadReferences(const std::vector<std::string>& files,
                                                                 const Expectations& expect) {
  if (files.empty()) return std::shared_ptr<const verify::References>();
  verify::CorimOptions options;
  ASSIGN_OR_RETURN(options.signer, CoseRulesOf(expect));
  options.insecure_accept_emulated = expect.anchors.insecure_accept_emulated;
  auto out = std::make_shared<verify::References>();
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file, evidence::kMaxCorimSize));
    auto judged = verify::VerifyCorim(evidence::Unverified<Bytes>(ToBytes(AsBytes(bytes))), options, expect.at);
    if (!judged.values) return judged.verdict.ToStatus().error().In(file);
    out->sets.push_back(std::move(*judged.values));
  }
  return std::shared_ptr<const verify::References>(std::move(out));
}

}  // namespace ccgpu::cli
