// NVIDIA's detached EAT bundle: the overall token, each device's token, and what ties them together.
#include <algorithm>
#include <deque>
#include <set>

#include "base/encoding.h"
#include "trust/verify/token/context.h"

namespace ccgpu::verify {
namespace {

constexpr std::string_view kSubject = "NVIDIA-PLATFORM-ATTESTATION", kClaimsVersion = "3.0";
constexpr size_t kNonceSize = 32;

struct DeviceContext {
  std::string name;  // "GPU-0"
  TokenContext token;
};

struct BundleContext {
  const NrasOptions& options;
  TokenContext overall;
  std::deque<DeviceContext> devices;
  std::string environment;
};

struct DeviceCheckContext {
  BundleContext& bundle;
  DeviceContext& device;

  bool IsGpu() const { return device.name.starts_with("GPU-"); }
  const Json* Claim(const std::string& name) const {
    if (!device.token.jwt) return nullptr;
    const auto it = device.token.jwt->claims.find(name);
    return it == device.token.jwt->claims.end() ? nullptr : &*it;
  }
};

std::string Shown(const Json* value) {
  return value ? value->dump(-1, ' ', false, Json::error_handler_t::replace) : "";
}

Finding CheckNonce(const TokenContext& token, const Bytes& nonce) {
  if (!token.jwt) return Finding::Skip(kNoToken);
  if (nonce.size() != kNonceSize)
    return Finding::Fail(Err("token.nonce-missing", "", "the verifier was given no nonce of 32 bytes"));
  const std::string said = token.Text("eat_nonce").value_or("");
  const auto bytes = HexDecode(said);
  if (bytes.ok() && EqualConstantTime(*bytes, nonce)) return Finding::Pass();
  return token.AtClaims(Finding::Fail(Err("token.nonce-mismatch", "", "it answers another nonce"))
                            .Claim("eat_nonce", HexEncode(nonce), said));
}

Finding OverallNonce(BundleContext& c) { return CheckNonce(c.overall, c.options.nonce); }

Finding Kind(BundleContext& c) {
  if (!c.overall.jwt) return Finding::Skip(kNoToken);
  if (c.overall.Text("sub") != kSubject) {
    return c.overall.AtClaims(Finding::Fail(Err("token.kind", "", "it is not the overall token of a bundle"))
                                  .Claim("sub", std::string(kSubject), c.overall.Text("sub").value_or("")));
  }
  if (c.overall.Text("x-nvidia-ver") == kClaimsVersion) return Finding::Pass();
  return c.overall.AtClaims(
      Finding::Fail(Err("token.kind", "", "it has claims of a version that this program does not know"))
          .Claim("x-nvidia-ver", std::string(kClaimsVersion), c.overall.Text("x-nvidia-ver").value_or("")));
}

Finding Environment(BundleContext& c) {
  if (!c.overall.genuine) return Finding::Skip(kNotGenuine);
  const std::string silent = c.options.token.issuer == kNrasIssuer ? "hardware" : "";
  return c.overall.AtClaims(CheckStatedEnvironment(c.overall.Text("ccgpu.environment"), silent,
                                                   c.options.token.insecure_accept_emulated, c.environment));
}

Finding OverallResult(BundleContext& c) {
  if (!c.overall.jwt) return Finding::Skip(kNoToken);
  const auto it = c.overall.jwt->claims.find("x-nvidia-overall-att-result");
  const Json* found = it == c.overall.jwt->claims.end() ? nullptr : &*it;
  if (found && found->is_boolean() && found->get<bool>()) return Finding::Pass();
  return c.overall.AtClaims(Finding::Fail(Err("token.result", "", "its issuer did not accept the platform"))
                                .Claim("x-nvidia-overall-att-result", "true", Shown(found)));
}

// The digests name exactly the devices whose tokens are there: nobody may leave one out or add one.
Finding Submodules(BundleContext& c) {
  if (!c.overall.jwt) return Finding::Skip(kNoToken);
  std::set<std::string> named, brought;
  const auto submods = c.overall.jwt->claims.find("submods");
  if (submods != c.overall.jwt->claims.end() && submods->is_object()) {
    for (const auto& [name, value] : submods->items()) named.insert(name);
  }
  for (const DeviceContext& device : c.devices) brought.insert(device.name);
  if (!brought.empty() && named == brought) return Finding::Pass();
  const auto list = [](const std::set<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
    return out;
  };
  return c.overall.AtClaims(
      Finding::Fail(Err("token.devices", "", "the device tokens are not those that the overall token names"))
          .Claim("submods", list(named), list(brought)));
}

Finding DeviceCount(BundleContext& c) {
  if (!c.options.device_count) return Finding::Skip("no number of devices was asked for");
  if (*c.options.device_count == c.devices.size()) return Finding::Pass();
  return Finding::Fail(Err("token.devices", "", "it is about another number of devices"))
      .Claim("devices", std::to_string(*c.options.device_count), std::to_string(c.devices.size()));
}

Finding Distinct(BundleContext& c) {
  std::set<std::string> seen;
  for (const DeviceContext& device : c.devices) {
    const auto ueid = device.token.Text("ueid");
    if (ueid && !ueid->empty() && seen.insert(*ueid).second) continue;
    return device.token.AtClaims(Finding::Fail(Err("token.devices", "", "a device is there twice, or has no identity"))
                                     .Claim("ueid", "distinct", ueid.value_or("")));
  }
  return Finding::Pass();
}

Finding Inventory(BundleContext& c) {
  if (c.options.allowed_ueids.empty()) return Finding::Skip("no inventory was given");
  for (const DeviceContext& device : c.devices) {
    const std::string ueid = device.token.Text("ueid").value_or("");
    if (std::find(c.options.allowed_ueids.begin(), c.options.allowed_ueids.end(), ueid) !=
        c.options.allowed_ueids.end())
      continue;
    return device.token.AtClaims(Finding::Fail(Err("token.unknown-device", "", "the device is not in the inventory"))
                                     .Claim("ueid", "one of the inventory", ueid));
  }
  return Finding::Pass();
}

// "GPU-0": ["DIGEST", ["SHA-256", hex of the SHA-256 of the device's token as text]]. NVIDIA's SDK writes SHA256.
Finding Digest(DeviceCheckContext& c) {
  if (!c.bundle.overall.jwt) return Finding::Skip("there is no overall token that could be parsed");
  const Json& claims = c.bundle.overall.jwt->claims;
  const auto submods = claims.find("submods");
  const bool listed = submods != claims.end() && submods->is_object() && submods->contains(c.device.name);
  const Json entry = listed ? (*submods)[c.device.name] : Json();
  const bool shape = entry.is_array() && entry.size() == 2 && entry[0] == "DIGEST" && entry[1].is_array() &&
                     entry[1].size() == 2 && (entry[1][0] == "SHA-256" || entry[1][0] == "SHA256") &&
                     entry[1][1].is_string();
  const auto said = shape ? HexDecode(entry[1][1].get<std::string>()) : Result<Bytes>(Bytes());
  const Bytes digest = crypto::Sha256(AsBytes(c.device.token.text));
  if (shape && said.ok() && EqualConstantTime(*said, digest)) return Finding::Pass();
  return c.bundle.overall.AtClaims(
      Finding::Fail(Err("token.digest-mismatch", "", "the overall token was made for another token of this device"))
          .Claim("submods." + c.device.name, Shown(listed ? &entry : nullptr), HexEncode(digest)));
}

Finding DeviceNonce(DeviceCheckContext& c) { return CheckNonce(c.device.token, c.bundle.options.nonce); }

Finding DeviceEnvironment(DeviceCheckContext& c) {
  if (!c.device.token.jwt) return Finding::Skip(kNoToken);
  const auto stated = c.device.token.Text("ccgpu.environment");
  if (stated.value_or(c.bundle.environment) == c.bundle.environment && !c.bundle.environment.empty())
    return Finding::Pass();
  return c.device.token.AtClaims(
      Finding::Fail(Err("environment.mixed", "", "the device's token names another environment than the overall token"))
          .Claim("ccgpu.environment", c.bundle.environment, stated.value_or("")));
}

Finding Expect(DeviceCheckContext& c, const std::string& claim, const Json& want, Reason code, const char* text) {
  const Json* found = c.Claim(claim);
  if (found && *found == want) return Finding::Pass();
  return c.device.token.AtClaims(Finding::Fail(Err(code, "", text)).Claim(claim, want.dump(), Shown(found)));
}

Finding Measurements(DeviceCheckContext& c) {
  if (!c.device.token.jwt) return Finding::Skip(kNoToken);
  return Expect(c, "measres", "success", "token.measurements", "its measurements are not those of the RIMs");
}

Finding Debug(DeviceCheckContext& c) {
  if (!c.device.token.jwt) return Finding::Skip(kNoToken);
  Finding debug = Expect(c, "dbgstat", "disabled", "token.debug-enabled", "debugging of the device is not disabled");
  if (debug.outcome != Check::Outcome::kPassed) return debug;
  return Expect(c, "secboot", true, "token.debug-enabled", "the device did not boot securely");
}

// What the service must have found true. Its overall result says the same; a token that contradicts itself is refused.
Finding Statements(DeviceCheckContext& c) {
  if (!c.device.token.jwt) return Finding::Skip(kNoToken);
  const std::string gpu = "x-nvidia-gpu-", device = c.IsGpu() ? gpu : "x-nvidia-switch-";
  std::vector<std::string> names = {
      device + "arch-check", device + "attestation-report-parsed", device + "attestation-report-nonce-match",
      device + "attestation-report-signature-verified", device + "attestation-report-cert-chain-fwid-match"};
  std::vector<std::string> rims = {"bios-rim-"};
  if (c.IsGpu()) rims = {"driver-rim-", "vbios-rim-"}, names.push_back(gpu + "vbios-index-no-conflict");
  for (const std::string& rim : rims) {
    for (const char* what : {"fetched", "signature-verified", "version-match", "measurements-available"})
      names.push_back(device + rim + what);
    // Only some of NVIDIA's programs look at the schema.
    if (c.Claim(device + rim + "schema-validated")) names.push_back(device + rim + "schema-validated");
  }
  for (const std::string& name : names) {
    Finding finding = Expect(c, name, true, "token.statement", "its issuer did not find this to be true");
    if (finding.outcome != Check::Outcome::kPassed) return finding;
  }
  const Json* error = c.Claim("x-nvidia-error-details");
  if (!error || error->is_null()) return Finding::Pass();
  return c.device.token.AtClaims(Finding::Fail(Err("token.statement", "", "its issuer reports an error"))
                                     .Claim("x-nvidia-error-details", "null", Shown(error)));
}

Finding Chains(DeviceCheckContext& c) {
  if (!c.device.token.jwt) return Finding::Skip(kNoToken);
  const std::string device = c.IsGpu() ? "x-nvidia-gpu-" : "x-nvidia-switch-";
  std::vector<std::string> chains = {"attestation-report-cert-chain"};
  if (c.IsGpu()) chains.insert(chains.end(), {"driver-rim-cert-chain", "vbios-rim-cert-chain"});
  else chains.push_back("bios-rim-cert-chain");
  for (const std::string& chain : chains) {
    const Json* found = c.Claim(device + chain);
    const auto is = [&](const char* name, const Json& want) {
      return found && found->is_object() && found->contains(name) && (*found)[name] == want;
    };
    const auto absent_or = [&](const char* name, const Json& want) {
      return found && found->is_object() && (!found->contains(name) || (*found)[name] == want);
    };
    const bool good =
        is("x-nvidia-cert-status", "valid") && absent_or("x-nvidia-cert-revocation-reason", nullptr) &&
        (absent_or("x-nvidia-cert-ocsp-nonce-matches", true) || is("x-nvidia-cert-ocsp-nonce-matches", nullptr)) &&
        absent_or("x-nvidia-cert-ocsp-response-valid", true);
    const bool fresh = !c.bundle.options.require_revocation || is("x-nvidia-cert-ocsp-status", "good");
    if (good && fresh) continue;
    return c.device.token.AtClaims(
        Finding::Fail(Err("token.chain", "",
                          good ? "revocation of a chain was not asked about, or not answered well"
                               : "its issuer did not find a chain valid"))
            .Claim(device + chain, "valid, good", Shown(found)));
  }
  return Finding::Pass();
}

constexpr NamedCheck<BundleContext> kOverall[] = {
    {"kind", Kind},
    {"nonce", OverallNonce},
    {"environment", Environment},
    {"result", OverallResult},
    {"devices", Submodules},
    {"device-count", DeviceCount, true},
};
constexpr NamedCheck<DeviceCheckContext> kDigest[] = {{"digest", Digest}};
constexpr NamedCheck<DeviceCheckContext> kDevice[] = {
    {"nonce", DeviceNonce}, {"environment", DeviceEnvironment}, {"measurements", Measurements},
    {"debug", Debug},       {"statements", Statements},         {"chains", Chains},
};
constexpr NamedCheck<BundleContext> kSet[] = {{"distinct-devices", Distinct}, {"inventory", Inventory, true}};

GpuFacts FactsOf(const TokenContext& token) {
  GpuFacts out;
  out.ueid = token.Text("ueid").value_or("");
  out.hwmodel = token.Text("hwmodel").value_or("");
  out.driver_version = token.Text("x-nvidia-gpu-driver-version").value_or("");
  out.vbios_version = token.Text("x-nvidia-gpu-vbios-version").value_or("");
  return out;
}

}  // namespace

Verdict VerifyNrasToken(const evidence::Unverified<evidence::DetachedEat>& bundle, const NrasOptions& options,
                        TimePoint now) {
  const evidence::DetachedEat& eat = bundle.unverified();
  Verdict verdict;
  BundleContext c{options, TokenContext(eat.overall, options.token, now, "eat/overall"), {}, ""};
  for (const auto& [name, token] : eat.devices)
    c.devices.push_back({name, TokenContext(token, options.token, now, "eat/" + name)});
  bool good = RunChecks(TokenChecks(), c.overall, "overall.", verdict.checks);
  good = RunChecks(std::span<const NamedCheck<BundleContext>>(kOverall), c, "overall.", verdict.checks) && good;
  for (DeviceContext& device : c.devices) {
    DeviceCheckContext context{c, device};
    const std::string prefix = device.name + ".";
    good = RunChecks(std::span<const NamedCheck<DeviceCheckContext>>(kDigest), context, prefix, verdict.checks) && good;
    good = RunChecks(TokenChecks(), device.token, prefix, verdict.checks) && good;
    good = RunChecks(std::span<const NamedCheck<DeviceCheckContext>>(kDevice), context, prefix, verdict.checks) && good;
  }
  good = RunChecks(std::span<const NamedCheck<BundleContext>>(kSet), c, "set.", verdict.checks) && good;

  nlohmann::ordered_json claims;
  claims["environment"] = c.environment;
  claims["iss"] = c.overall.Text("iss").value_or("");
  claims["x-nvidia-overall-att-result"] =
      c.overall.jwt ? c.overall.jwt->claims.value("x-nvidia-overall-att-result", Json()) : Json();
  claims["gpus"] = claims["switches"] = nlohmann::ordered_json::array();
  Claims facts;
  for (const DeviceContext& device : c.devices) {
    const bool gpu = device.name.starts_with("GPU-");
    nlohmann::ordered_json item =
        device.token.jwt ? nlohmann::ordered_json(device.token.jwt->claims) : nlohmann::ordered_json::object();
    item["environment"] = c.environment;
    claims[gpu ? "gpus" : "switches"].push_back(std::move(item));
    if (gpu) facts.gpus.push_back(FactsOf(device.token));
  }
  verdict.accepted = good;
  verdict.environment = c.environment;
  verdict.claims_json = claims.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (good) {
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
