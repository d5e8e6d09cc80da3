#include "trust/kbs/binding.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "trust/kbs/jcs.h"

namespace ccgpu::kbs {
namespace {

constexpr size_t kGpuNonceSize = 32;
constexpr size_t kSnpReportDataSize = 64;

}  // namespace

Result<Bytes> ReportData(std::string_view json_material, crypto::Hash hash) {
  ASSIGN_OR_RETURN(const std::string text, CanonicalJson(json_material));
  return crypto::Digest(hash, AsBytes(text));
}

// The canonical texts are written out: their members are few, fixed and already sorted.
Bytes DeviceReportData(std::string_view nonce, const PublicJwk& key) {
  return crypto::Sha384(AsBytes(R"({"nonce":)" + JsonQuoted(nonce) + R"(,"tee-pubkey":)" + key.ToJson() + "}"));
}

Bytes PrimaryReportData(std::string_view nonce, const PublicJwk& key, std::string_view additional_evidence) {
  return crypto::Sha384(AsBytes(R"({"additional-evidence":)" + JsonQuoted(additional_evidence) + R"(,"nonce":)" +
                                JsonQuoted(nonce) + R"(,"tee-pubkey":)" + key.ToJson() + "}"));
}

Bytes GpuNonce(ByteView device_report_data) {
  Bytes out = ToBytes(device_report_data);
  out.resize(kGpuNonceSize);
  return out;
}

Bytes SnpReportData(ByteView primary_report_data) {
  Bytes out = ToBytes(primary_report_data);
  out.resize(kSnpReportDataSize);
  return out;
}

Result<crypto::Hash> SelectedHash(std::string_view extra_params_json) {
  if (extra_params_json.empty()) return crypto::Hash::kSha384;
  ASSIGN_OR_RETURN(const Json extra, ParseJson(extra_params_json, "extra-params"));
  if (!extra.is_object() || !extra.contains("selected-hash-algorithm")) return crypto::Hash::kSha384;
  ASSIGN_OR_RETURN(std::string name, JsonString(extra, "selected-hash-algorithm", "extra-params"));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "sha256") return crypto::Hash::kSha256;
  if (name == "sha384") return crypto::Hash::kSha384;
  if (name == "sha512") return crypto::Hash::kSha512;
  return Err("kbs.unknown-hash", "extra-params.selected-hash-algorithm",
             "\"" + name + "\" is not one of sha256, sha384, sha512");
}

}  // namespace ccgpu::kbs
