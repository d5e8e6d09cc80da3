// One H100's evidence (report, chain, two RIMs, OCSP answers) judged with an empty and with a warm cache, beside the
// OpenSSL calls that nobody can leave out (reading each certificate once, the P-384 verifications); and a set of 8 GPUs
// and 4 switches on one thread and on all cores. CPU time of this thread for the one, wall time for the set; taken in
// turns so that what else the machine does hits both; allocations are counted (operator new, and OpenSSL's own). Prints
// the rows that test/bench/run_bench.py reads, as a JSON list.
//
//   ccgpu-bench-gpu [ROUNDS]
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/json.h"
#include "test/bench/cost.h"
#include "trust/verify/testing/fabric.h"

namespace ccgpu::verify {
namespace {

// Four links of the device chain, the report, three links of the signers' chain, two RIMs, six OCSP answers and their
// two signers; all of it is new to who has seen nothing, only the report is to who has seen its documents before.
constexpr int kColdSignatures = 4 + 1 + 3 + 2 + 6 + 2, kWarmSignatures = 1;
constexpr int kWarmUp = 3;

// Reading certificates and checking P-384 signatures over as much as a report has signed, through OpenSSL alone.
class Bare {
 public:
  explicit Bare(const GpuWorld& world) : key_(crypto::PrivateKey::Generate(crypto::KeyType::kP384)), data_(4000, 1) {
    signature_ = key_.SignDer(crypto::Hash::kSha384, data_);
    for (const auto* chain : {&world.device, &world.rim}) {
      for (const Party& party : *chain) certificates_.push_back(party.certificate.Der());
    }
    for (const Party* party : {&world.ocsp, &world.rim_ocsp}) certificates_.push_back(party->certificate.Der());
  }
  size_t certificates() const { return certificates_.size(); }
  bool Read() const {
    bool good = true;
    for (const Bytes& der : certificates_) {
      const uint8_t* at = der.data();
      X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
      good = good && X509_get0_pubkey(certificate) != nullptr;
      X509_free(certificate);
    }
    return good;
  }
  bool Verify(int times) const {
    bool good = true;
    for (int i = 0; i < times; ++i) {
      EVP_MD_CTX* context = EVP_MD_CTX_new();
      EVP_DigestVerifyInit(context, nullptr, EVP_sha384(), nullptr, key_.raw());
      good = good && EVP_DigestVerify(context, signature_.data(), signature_.size(), data_.data(), data_.size()) == 1;
      EVP_MD_CTX_free(context);
    }
    return good;
  }

 private:
  crypto::PrivateKey key_;
  Bytes data_, signature_;
  std::vector<Bytes> certificates_;
};

Json Row(const char* name, bench::Cost& ours, const std::string& beside, bench::Cost& other) {
  return {{"name", name},
          {"value", ours.Median()},
          {"unit", "us"},
          {"alternative", beside},
          {"alternative_value", other.Median()},
          {"allocations", ours.allocations},
          {"alternative_allocations", other.allocations}};
}

std::string Signatures(int count) {
  return "its " + std::to_string(count) + " P-384 verification" + (count > 1 ? "s" : "");
}

template <class F>
void Measure(bench::Cost& cost, F&& work) {
  if (cost.Take(work)) return;
  std::fprintf(stderr, "ccgpu-bench-gpu: healthy evidence was refused\n");
  std::exit(1);
}

void Run(int rounds) {
  const GpuWorld world;
  const Bare bare(world);
  Cache warm;
  bench::Cost cold_cost{CLOCK_THREAD_CPUTIME_ID}, cold_floor = cold_cost, warm_cost = cold_cost, warm_floor = cold_cost;
  for (int round = 0; round < rounds + kWarmUp; ++round) {
    if (round == kWarmUp) {
      for (bench::Cost* cost : {&cold_cost, &cold_floor, &warm_cost, &warm_floor}) cost->times.clear();
    }
    Measure(cold_cost, [&] { return world.Run().accepted; });
    Measure(cold_floor, [&] { return bare.Read() && bare.Verify(kColdSignatures); });
    Measure(warm_cost, [&] { return world.Run(&warm).accepted; });
    Measure(warm_floor, [&] { return bare.Verify(kWarmSignatures); });
  }
  FabricWorld set;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  bench::Cost one_thread{CLOCK_MONOTONIC}, all_cores = one_thread;
  for (int round = 0; round < std::max(3, rounds / 10); ++round) {
    set.options.threads = 1;
    Measure(one_thread, [&] { return set.Run().accepted; });
    set.options.threads = 0;
    Measure(all_cores, [&] { return set.Run().accepted; });
  }
  const Json rows = {
      Row("gpu-cold", cold_cost,
          Signatures(kColdSignatures) + " with reading its " + std::to_string(bare.certificates()) + " certificates",
          cold_floor),
      Row("gpu-warm", warm_cost, Signatures(kWarmSignatures), warm_floor),
      Row("fabric", all_cores, "the same set on one thread", one_thread)};
  Json out = rows;
  out[2]["cores"] = cores;
  std::printf("%s\n", out.dump(2).c_str());
}

}  // namespace
}  // namespace ccgpu::verify

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: ccgpu-bench-gpu [ROUNDS]\n");
    return 2;
  }
  ccgpu::bench::CountOpenSsl();
  ccgpu::verify::Run(rounds);
  return 0;
}
