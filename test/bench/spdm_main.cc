// An SPDM handshake of driver and device, both ends in this thread, from GET_VERSION to END_SESSION, against the
// OpenSSL calls that it cannot leave out: reading the certificates, two ephemeral keys, two key agreements, one
// signature and its verification; with mutual authentication an RSA signature and its verification more. CPU time of
// this thread, taken in turns; allocations of both are counted (operator new, and OpenSSL's own). Prints rows for
// test/bench/run_bench.py.
//
//   ccgpu-bench-spdm [ROUNDS]
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "test/bench/cost.h"
#include "trust/spdm/requester.h"
#include "trust/spdm/responder.h"

namespace ccgpu::spdm {
namespace {

constexpr int kWarmUp = 5;

RequesterIdentity MakeChain(crypto::KeyType type, int length) {
  RequesterIdentity out;
  std::optional<crypto::Certificate> issuer;
  for (int i = 0; i < length; ++i) {
    const crypto::PrivateKey key = crypto::PrivateKey::Generate(type);
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", "EMULATED, NOT NVIDIA: bench " + std::to_string(i)}};
    spec.key = key.public_key();
    spec.not_after = TimePoint(std::chrono::seconds(4102444800));
    spec.ca = spec.key_cert_sign = i + 1 < length;
    issuer = crypto::MakeCertificate(spec, issuer ? out.key : key, issuer ? &*issuer : nullptr).value();
    out.chain_der.push_back(issuer->Der());
    out.key = key;
  }
  return out;
}

class Source final : public MeasurementSource {
 public:
  std::vector<MeasurementBlock> Blocks() override { return {}; }
  Bytes OpaqueData() override { return {}; }
};

// Driver and device, with DOE objects between them.
struct World final : Transport {
  World() {
    ResponderConfig config;
    config.chain_der = device.chain_der;
    config.key = device.key;
    config.measurements = &source;
    config.random = &random;
    responder = std::make_unique<Responder>(std::move(config));
  }
  Result<Packet> Exchange(const Packet& request) override {
    const Result<Bytes> answer = HandleDoe(*responder, EncodeDoe(request), TimePoint{});
    if (!answer.ok()) return answer.error();
    return DecodeDoe(*answer);
  }
  bool Handshake(bool mutual) {
    Requester requester(
        {.transport = this, .random = &random, .max_version = kVersion11, .identity = mutual ? &driver : nullptr});
    return requester.Connect().ok() && requester.StartSession().ok() && requester.EndSession().ok();
  }

  crypto::SystemRandom random;
  Source source;
  const RequesterIdentity device = MakeChain(crypto::KeyType::kP384, 5);  // as many as an H100's chain
  const RequesterIdentity driver = MakeChain(crypto::KeyType::kRsa3072, 1);
  std::unique_ptr<Responder> responder;
};

// One signature and its verification.
bool SignAndVerify(EVP_PKEY* key, bool pss) {
  static const Bytes message(48, 7);
  uint8_t signature[512];
  size_t size = sizeof signature;
  const auto setup = [&](EVP_PKEY_CTX* context) {
    return !pss || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
  };
  EVP_PKEY_CTX* inner = nullptr;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool good = EVP_DigestSignInit(context, &inner, EVP_sha384(), nullptr, key) == 1 && setup(inner) &&
              EVP_DigestSign(context, signature, &size, message.data(), message.size()) == 1;
  EVP_MD_CTX_free(context);
  context = EVP_MD_CTX_new();
  good = good && EVP_DigestVerifyInit(context, &inner, EVP_sha384(), nullptr, key) == 1 && setup(inner) &&
         EVP_DigestVerify(context, signature, size, message.data(), message.size()) == 1;
  EVP_MD_CTX_free(context);
  return good;
}

bool Agree(EVP_PKEY* own, EVP_PKEY* peer) {
  uint8_t secret[48];
  size_t size = sizeof secret;
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(own, nullptr);
  const bool good = EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                    EVP_PKEY_derive(context, secret, &size) == 1;
  EVP_PKEY_CTX_free(context);
  return good;
}

bool ReadAll(const std::vector<Bytes>& chain) {
  for (const Bytes& der : chain) {
    const uint8_t* at = der.data();
    X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
    if (!certificate || !X509_get0_pubkey(certificate)) return false;
    X509_free(certificate);
  }
  return true;
}

bool Bare(const World& world, bool mutual) {
  EVP_PKEY* one = EVP_EC_gen("P-384");
  EVP_PKEY* other = EVP_EC_gen("P-384");
  bool good = ReadAll(world.device.chain_der) && Agree(one, other) && Agree(other, one) &&
              SignAndVerify(world.device.key.raw(), false);
  if (mutual) good = good && ReadAll(world.driver.chain_der) && SignAndVerify(world.driver.key.raw(), true);
  EVP_PKEY_free(one);
  EVP_PKEY_free(other);
  return good;
}

bool Measure(World& world, bool mutual, int rounds) {
  bench::Cost ours, bare;
  for (int round = 0; round < rounds + kWarmUp; ++round) {
    if (round == kWarmUp) ours.times.clear(), bare.times.clear();
    if (!ours.Take([&] { return world.Handshake(mutual); }) || !bare.Take([&] { return Bare(world, mutual); }))
      return false;
  }
  std::printf(
      "{\"name\": \"spdm.handshake%s\", \"value\": %.1f, \"unit\": \"1/s\", \"alternative\": \"its OpenSSL calls "
      "alone\", \"alternative_value\": %.1f, \"rounds\": %d, \"allocations\": %zu, \"alternative_allocations\": %zu}",
      mutual ? "-mutual" : "", 1e6 / ours.Median(), 1e6 / bare.Median(), rounds, ours.allocations, bare.allocations);
  return true;
}

int Run(int rounds) {
  World world;
  std::printf("[");
  bool good = Measure(world, false, rounds);
  std::printf(", ");
  good = good && Measure(world, true, rounds);
  std::printf("]\n");
  if (!good) std::fprintf(stderr, "ccgpu-bench-spdm: a handshake failed\n");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace ccgpu::spdm

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: ccgpu-bench-spdm [ROUNDS]\n");
    return 2;
  }
  ccgpu::bench::CountOpenSsl();
  return ccgpu::spdm::Run(rounds);
}
