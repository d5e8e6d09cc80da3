// How many full RCARs (challenge, evidence of an SNP sandbox with one H100, token, resource) one core serves, beside
// what the P-384 verifications of its evidence cost by themselves to who keeps nothing, and those that are left to a
// broker that knows the documents. Prints rows as ./run bench wants them: a JSON list on standard
// output.
//
//   ccgpu-bench-broker [ROUNDS]
//
// Measured is the CPU time of Broker::Handle on one thread: without TLS and without the client's part. Collateral is
// warm, as it is for all but the first pod of a node. The P-384 operations are counted where they happen, by standing
// in for OpenSSL's entry points, so the limit follows the code.
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <time.h>

#include <cstdio>
#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "base/testing/temp_dir.h"
#include "key-broker/protocol/broker.h"
#include "key-broker/testing/test_pod.h"

namespace {

thread_local int depth = 0;
int64_t p384_verifications = 0;

// Counts one verification unless it happens inside another that was counted.
struct Counted {
  explicit Counted(EVP_PKEY* key) {
    if (depth++ == 0 && key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384) ++p384_verifications;
  }
  ~Counted() { --depth; }
};

template <class F>
F* Next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
int EVP_DigestVerify(EVP_MD_CTX* context, const unsigned char* signature, size_t signature_size,
                     const unsigned char* data, size_t size) {
  static auto* next = Next<decltype(EVP_DigestVerify)>("EVP_DigestVerify");
  const Counted counted(EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_get_pkey_ctx(context)));
  return next(context, signature, signature_size, data, size);
}
int X509_verify(X509* certificate, EVP_PKEY* key) {
  static auto* next = Next<decltype(X509_verify)>("X509_verify");
  const Counted counted(key);
  return next(certificate, key);
}
int ASN1_item_verify(const ASN1_ITEM* item, const X509_ALGOR* algorithm, const ASN1_BIT_STRING* signature,
                     const void* data, EVP_PKEY* key) {
  static auto* next = Next<decltype(ASN1_item_verify)>("ASN1_item_verify");
  const Counted counted(key);
  return next(item, algorithm, signature, data, key);
}
}

namespace ccgpu::broker {
namespace {

constexpr char kResource[] = "/kbs/v0/resource/default/test/one";
constexpr double kAim = 0.7;

double CpuSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Stopwatch {
 public:
  explicit Stopwatch(Broker& broker) : broker_(broker) {}
  HttpResponse Handle(const HttpRequest& request) {
    const double start = CpuSeconds();
    HttpResponse response = broker_.Handle(request);
    seconds += CpuSeconds() - start;
    if (response.status != 200) {
      std::fprintf(stderr, "ccgpu-bench-broker: %s %s: %d %s\n", request.method.c_str(), request.path.c_str(),
                   response.status, response.body.c_str());
      ::exit(1);
    }
    return response;
  }
  double seconds = 0;

 private:
  Broker& broker_;
};

HttpRequest Request(const char* method, const char* path, std::string body = "") {
  HttpRequest out;
  out.method = method;
  out.path = path;
  out.body = std::move(body);
  return out;
}

void OneRcar(Stopwatch& broker, TestPod& pod) {
  const HttpResponse challenge = broker.Handle(Request("POST", "/kbs/v0/auth", kbs::AuthRequest().ToJson()));
  HttpRequest attest =
      Request("POST", "/kbs/v0/attest", pod.Answer(kbs::ParseChallenge(challenge.body)->nonce).ToJson());
  attest.cookie = challenge.set_cookie.substr(0, challenge.set_cookie.find(';'));
  const HttpResponse attested = broker.Handle(attest);
  HttpRequest get = Request("GET", kResource);
  get.authorization = "Bearer " + *kbs::ParseTokenResponse(attested.body);
  broker.Handle(get);
}

double SecondsPerVerification() {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  const Bytes data(1000, 1);
  const Bytes signature = key.SignDer(crypto::Hash::kSha384, data);
  const auto public_key = key.public_key();
  constexpr int kRounds = 500;
  const double start = CpuSeconds();
  for (int i = 0; i < kRounds; ++i) {
    if (!public_key.VerifyDer(crypto::Hash::kSha384, data, signature)) ::exit(1);
  }
  return (CpuSeconds() - start) / kRounds;
}

int Main(int rounds) {
  log::Init("ccgpu-bench-broker", log::Level::kError);
  const TempDir folder;
  auto db = Database::Open(folder / "broker.db");
  if (!db.ok()) return 1;
  const StoreKeys keys = DeriveStoreKeys(Bytes(32, 1));
  TestPod pod;
  TestVendor vendor(pod);
  HttpCollateral collateral({}, vendor);
  EvidenceAppraiser appraiser(pod.Anchors(), collateral);
  const std::string admin(40, 'a');
  const Roles roles(admin, std::string(40, 'b'));
  const ManualClock clock(verify::kTestNow);
  crypto::SystemRandom random;
  BrokerOptions options;
  options.insecure_accept_emulated = true;
  options.peer_limits = {.sessions = 0, .burst = 0};  // one peer, as fast as it can
  Broker broker({**db, keys, appraiser, roles, clock, random, crypto::PrivateKey::Generate(crypto::KeyType::kP256)},
                options);

  Stopwatch setup(broker);
  for (const auto& [path, body] : {std::pair<const char*, std::string>{kResource, "secret"},
                                   {"/kbs/v0/ccgpu/release-policy/default/test/one",
                                    "apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nmetadata:\n  name: "
                                    "bench\nspec:\n  environment: [emulated]\n  sandbox:\n"
                                    "    hostData: [\"" +
                                        pod.host_data + "\"]\n  gpus:\n    min: 1\n"}}) {
    HttpRequest put = Request("POST", path, body);
    put.authorization = "Bearer " + admin;
    setup.Handle(put);
  }
  OneRcar(setup, pod);  // fetches the collateral
  // A broker that has the collateral and has verified none of it.
  EvidenceAppraiser knows_nothing(pod.Anchors(), collateral);
  Broker fresh({**db, keys, knows_nothing, roles, clock, random, crypto::PrivateKey::Generate(crypto::KeyType::kP256)},
               options);
  p384_verifications = 0;
  Stopwatch first(fresh);
  OneRcar(first, pod);
  const auto in_evidence = static_cast<double>(p384_verifications);

  p384_verifications = 0;
  Stopwatch watch(broker);
  for (int i = 0; i < rounds; ++i) OneRcar(watch, pod);
  const double operations = static_cast<double>(p384_verifications) / rounds;
  const double per_rcar = watch.seconds / rounds;
  const double one = SecondsPerVerification();
  const auto row = [&](const char* name, double count, const char* which) {
    const double limit = count * one;
    return Json{
        {"name", name},
        {"value", 1 / per_rcar},
        {"unit", "1/s per core"},
        {"alternative", "the " + std::to_string(static_cast<int>(count + 0.5)) + " P-384 verifications " + which},
        {"alternative_value", 1 / limit},
        {"ratio", limit / per_rcar}};
  };
  Json rows = {row("broker.rcar", in_evidence, "of its evidence alone"),
               row("broker.rcar-kept", operations, "that a warm cache leaves")};
  rows[0]["aim"] = kAim;
  rows[0]["met"] = rows[0]["ratio"] >= kAim;
  std::printf("%s\n", rows.dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace ccgpu::broker

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
  return ccgpu::broker::Main(rounds > 0 ? rounds : 200);
}
