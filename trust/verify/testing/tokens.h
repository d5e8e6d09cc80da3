// A token issuer for tests: keys, healthy claims, and a bundle like NVIDIA's, until a test changes something.
#pragma once

#include <functional>
#include <string>

#include "base/crypto/key.h"
#include "base/encoding.h"
#include "trust/evidence/jwt.h"
#include "trust/evidence/nras.h"
#include "trust/verify/testing/world.h"
#include "trust/verify/token/token.h"

namespace ccgpu::verify {

using ClaimsEdit = std::function<void(Json&)>;

// A compact token with any header, any claims and any signature.
inline std::string RawToken(const std::string& header, const std::string& claims, ByteView signature) {
  return Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(claims)) + "." + Base64UrlEncode(signature);
}

struct TokenWorld {
  crypto::PrivateKey key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  Bytes nonce = Bytes(32, 0x5a);
  NrasOptions options;
  TimePoint now = kTestNow;
  Json overall, gpu;  // claims; `overall` without the digests, which Bundle() puts in

  TokenWorld() {
    const int64_t at = now.time_since_epoch().count();
    options.token.keys = {PinnedKey(key.public_key(), "k1").value()};
    options.token.issuer = kNrasIssuer;
    options.nonce = nonce;
    const Json times = {
        {"iss", kNrasIssuer}, {"iat", at - 10}, {"nbf", at - 10}, {"exp", at + 3600}, {"eat_nonce", HexEncode(nonce)},
        {"jti", "1"}};
    overall = times;
    overall.update(
        {{"sub", "NVIDIA-PLATFORM-ATTESTATION"}, {"x-nvidia-ver", "3.0"}, {"x-nvidia-overall-att-result", true}});
    const Json chain = {{"x-nvidia-cert-status", "valid"},
                        {"x-nvidia-cert-ocsp-status", "good"},
                        {"x-nvidia-cert-expiration-date", "9999-12-31T23:59:59Z"},
                        {"x-nvidia-cert-revocation-reason", nullptr}};
    gpu = times;
    gpu.update({{"measres", "success"},
                {"dbgstat", "disabled"},
                {"secboot", true},
                {"ueid", "4711"},
                {"hwmodel", "GH100 A01 GSP BROM"},
                {"oemid", "5703"},
                {"x-nvidia-gpu-driver-version", "550.90.07"},
                {"x-nvidia-gpu-vbios-version", "96.00.9F.00.01"}});
    for (const char* name :
         {"arch-check", "attestation-report-parsed", "attestation-report-nonce-match",
          "attestation-report-signature-verified", "attestation-report-cert-chain-fwid-match",
          "vbios-index-no-conflict", "driver-rim-fetched", "driver-rim-signature-verified", "driver-rim-version-match",
          "driver-rim-measurements-available", "vbios-rim-fetched", "vbios-rim-signature-verified",
          "vbios-rim-version-match", "vbios-rim-measurements-available"})
      gpu[std::string("x-nvidia-gpu-") + name] = true;
    for (const char* name : {"attestation-report-cert-chain", "driver-rim-cert-chain", "vbios-rim-cert-chain"})
      gpu[std::string("x-nvidia-gpu-") + name] = chain;
  }

  std::string Sign(const Json& claims) const {
    return evidence::MakeJwt(evidence::JwsAlgorithm::kEs384, key, {{"kid", "k1"}, {"alg", "ES384"}}, claims.dump());
  }
  // The overall token around these device tokens.
  evidence::DetachedEat Around(std::vector<std::pair<std::string, std::string>> devices) const {
    Json claims = overall;
    for (const auto& [name, token] : devices)
      claims["submods"][name] = {"DIGEST", {"SHA-256", HexEncode(crypto::Sha256(AsBytes(token)))}};
    return {Sign(claims), std::move(devices)};
  }
  evidence::DetachedEat Bundle() const { return Around({{"GPU-0", Sign(gpu)}}); }
  Verdict Judge(const evidence::DetachedEat& bundle) const {
    return VerifyNrasToken(evidence::Unverified(bundle), options, now);
  }
  Verdict Run() const { return Judge(Bundle()); }
};

// The first failure's code, or "accepted".
inline std::string Outcome(const Verdict& verdict) {
  if (verdict.accepted) return "accepted";
  const std::string code = FirstCode(verdict);
  return code.empty() ? "refused without a failure" : code;
}

}  // namespace ccgpu::verify
