#include "trust/verify/token/result.h"

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/jwt.h"
#include "trust/evidence/nras.h"
#include "trust/verify/claims_map.h"

namespace ccgpu::verify {
namespace {

Error Nothing(const char* what) {
  return Err("token.nothing-to-say", "token",
             std::string("the verdict is about no ") + what + ", so there is nothing to state");
}

struct Device {
  std::string part;  // "gpu0"
  Json claims;
};

std::vector<Device> DevicesOf(const Verdict& verdict) {
  std::vector<Device> out;
  for (const auto& [part, text] : CocoClaims(verdict)) {
    const Json claims = Json::parse(text, nullptr, false);
    if (claims.is_object() && claims.contains("nvidia")) out.push_back({part, claims["nvidia"]});
  }
  return out;
}

// "gpu0" -> "GPU-0", "switch2" -> "SWITCH-2".
std::string EatName(const std::string& part) {
  return part.starts_with("gpu") ? "GPU-" + part.substr(3) : "SWITCH-" + part.substr(6);
}

std::string NonceOf(const ResultToken& spec, const std::vector<Device>& devices) {
  if (!spec.nonce.empty() || devices.empty()) return spec.nonce;
  const auto nonce = devices[0].claims.find("eat_nonce");
  return nonce != devices[0].claims.end() && nonce->is_string() ? nonce->get<std::string>() : "";
}

// Registered claims and NVIDIA's keep their names; what only we say is "ccgpu.<name>".
Json DeviceClaims(const Json& claims) {
  Json out = Json::object();
  for (const auto& [name, value] : claims.items()) {
    const bool known = name.starts_with("x-nvidia-") || name == "measres" || name == "secboot" || name == "dbgstat" ||
                       name == "hwmodel" || name == "ueid" || name == "oemid" || name == "eat_nonce";
    // The overall result is the overall token's.
    if (name != "x-nvidia-overall-att-result") out[known ? name : "ccgpu." + name] = value;
  }
  return out;
}

void AddTimes(Json& claims, const ResultToken& spec, const std::string& id) {
  const int64_t issued = spec.issued.time_since_epoch().count();
  claims["iss"] = spec.issuer;
  claims["iat"] = claims["nbf"] = issued;
  claims["exp"] = issued + spec.lifetime.count();
  claims["jti"] = id;
}

}  // namespace

Result<std::string> MakeEarToken(const Verdict& verdict, const ResultToken& spec, const crypto::PrivateKey& key) {
  const auto parts = CocoClaims(verdict);
  if (parts.empty()) return Nothing("CPU and no device");
  kbs::EarSpec ear{
      spec.issued, spec.issued + spec.lifetime, spec.issuer, "ccgpu", spec.build, verdict.environment, spec.id, {}, "",
      {}};
  for (const auto& [part, claims] : parts) ear.submods.push_back({part, TrustVectorOf(verdict, part), claims});
  ear.nonce = NonceOf(spec, DevicesOf(verdict));
  const Protection protection = ProtectionOf(verdict);
  ear.protection = {{"data_confidentiality", protection.data_confidentiality},
                    {"data_integrity", protection.data_integrity},
                    {"code_integrity", protection.code_integrity}};
  std::string token = kbs::SignJwt(key, kbs::MakeEarClaims(ear));
  if (token.empty()) return Err("token.key-type", "key", "must be P-256 or P-384");
  return token;
}

Result<std::string> MakeEatBundle(const Verdict& verdict, const ResultToken& spec, const crypto::PrivateKey& key) {
  const std::vector<Device> devices = DevicesOf(verdict);
  if (devices.empty()) return Nothing("device");
  if (!key.valid() || key.public_key().type() != crypto::KeyType::kP384)
    return Err("token.key-type", "key", "must be P-384: NVIDIA's tokens are ES384");
  const Json header = {{"kid", evidence::JwkThumbprint(key.public_key())}, {"alg", "ES384"}};
  const auto sign = [&](const Json& claims) {
    return evidence::MakeJwt(evidence::JwsAlgorithm::kEs384, key, header,
                             claims.dump(-1, ' ', false, Json::error_handler_t::replace));
  };
  evidence::DetachedEat bundle;
  Json overall = {{"sub", "NVIDIA-PLATFORM-ATTESTATION"},
                  {"x-nvidia-ver", "3.0"},
                  {"x-nvidia-overall-att-result", verdict.accepted},
                  {"ccgpu.environment", verdict.environment},
                  {"submods", Json::object()}};
  if (const std::string nonce = NonceOf(spec, devices); !nonce.empty()) overall["eat_nonce"] = nonce;
  const Protection protection = ProtectionOf(verdict);
  overall["ccgpu.data_confidentiality"] = protection.data_confidentiality;
  overall["ccgpu.data_integrity"] = protection.data_integrity;
  overall["ccgpu.code_integrity"] = protection.code_integrity;
  for (const Device& device : devices) {
    const std::string name = EatName(device.part);
    Json claims = DeviceClaims(device.claims);
    AddTimes(claims, spec, spec.id + "/" + name);
    bundle.devices.emplace_back(name, sign(claims));
    overall["submods"][name] = {"DIGEST",
                                {"SHA-256", HexEncode(crypto::Sha256(AsBytes(bundle.devices.back().second)))}};
  }
  AddTimes(overall, spec, spec.id);
  bundle.overall = sign(overall);
  return evidence::EncodeDetachedEat(bundle);
}

}  // namespace ccgpu::verify
