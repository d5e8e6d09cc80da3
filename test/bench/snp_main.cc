// One SNP report judged, against the OpenSSL calls that nobody can leave out: reading the two certificates that came
// with it, the two signatures over them, the one over the report. CPU time of this thread, taken in turns so that what
// else the machine does hits both; allocations of both are counted (operator new, and OpenSSL's own). Prints the rows
// that test/bench/run_bench.py reads.
//
//   ccgpu-bench-snp [ROUNDS]
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test/bench/cost.h"
#include "trust/verify/verify.h"

namespace ccgpu {
namespace {

using crypto::KeyType;
using crypto::PrivateKey;

const TimePoint kNow = ParseTime("2026-06-01").value();
constexpr int kWarmUp = 5;

struct World {
  evidence::SnpEvidence evidence;
  verify::Anchors anchors;
  verify::SnpOptions options;
  crypto::Certificate ark;
};

World MakeWorld() {
  const auto spec = [](const char* name, const PrivateKey& key, bool ca) {
    crypto::CertificateSpec out;
    out.subject = {{"O", "EMULATED, NOT AMD"}, {"CN", name}};
    out.key = key.public_key();
    out.not_before = kNow - std::chrono::hours(24);
    out.not_after = kNow + std::chrono::hours(24);
    out.ca = out.key_cert_sign = out.crl_sign = ca;
    out.pss_signature = true;
    return out;
  };
  const PrivateKey ark_key = PrivateKey::Generate(KeyType::kRsa4096), ask_key = PrivateKey::Generate(KeyType::kRsa4096),
                   vcek_key = PrivateKey::Generate(KeyType::kP384);
  World out;
  out.ark = crypto::MakeCertificate(spec("EMULATED ARK", ark_key, true), ark_key, nullptr).value();
  const auto ask = crypto::MakeCertificate(spec("SEV-Genoa", ask_key, true), ark_key, &out.ark).value();
  const evidence::VcekExtensions facts{"Genoa", {std::nullopt, 9, 0, 23, 72}, Bytes(64, 7), std::nullopt};
  auto vcek_spec = spec("SEV-VCEK", vcek_key, false);
  vcek_spec.extensions = evidence::MakeVcekExtensions(facts);
  const auto vcek = crypto::MakeCertificate(vcek_spec, ask_key, &ask).value();
  evidence::SnpReport report;
  report.report_data = out.options.report_data = Bytes(64, 1);
  report.reported_tcb = report.committed_tcb = report.current_tcb = report.launch_tcb = evidence::JoinTcb(facts.tcb);
  report.cpuid_family = 0x19;
  report.cpuid_model = 0x11;
  report.chip_id = *facts.hardware_id;
  out.evidence = {evidence::SignSnpReport(report, vcek_key), {{"VCEK", vcek.Der()}, {"ASK", ask.Der()}}};
  out.anchors.amd_roots = {out.ark};
  out.anchors.insecure_accept_emulated = true;
  return out;
}

// What no verifier of these bytes can do without.
bool Bare(const World& world) {
  const auto read = [&](size_t index) {
    const Bytes& der = world.evidence.certificates[index].der;
    const uint8_t* at = der.data();
    return d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  };
  X509 *vcek = read(0), *ask = read(1);
  bool good = X509_verify(ask, X509_get0_pubkey(world.ark.raw())) == 1 && X509_verify(vcek, X509_get0_pubkey(ask)) == 1;
  const auto number = [&](size_t offset) { return BN_lebin2bn(world.evidence.report.data() + offset, 72, nullptr); };
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, number(evidence::snp_offset::kSignature), number(evidence::snp_offset::kSignature + 72));
  uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(context, nullptr, EVP_sha384(), nullptr, X509_get0_pubkey(vcek));
  good = good && EVP_DigestVerify(context, der, static_cast<size_t>(size), world.evidence.report.data(),
                                  evidence::kSnpSignedSize) == 1;
  EVP_MD_CTX_free(context);
  OPENSSL_free(der);
  ECDSA_SIG_free(signature);
  X509_free(vcek);
  X509_free(ask);
  return good;
}

int Run(int rounds) {
  const World world = MakeWorld();
  const evidence::Unverified evidence(world.evidence);
  bench::Cost ours, bare;
  for (int round = 0; round < rounds + kWarmUp; ++round) {
    if (round == kWarmUp) ours.times.clear(), bare.times.clear();
    const bool good = ours.Take([&] { return VerifySnp(evidence, {}, world.anchors, world.options, kNow).accepted; }) &&
                      bare.Take([&] { return Bare(world); });
    if (!good) {
      std::fprintf(stderr, "ccgpu-bench-snp: the report was refused\n");
      return 1;
    }
  }
  std::printf(
      "{\"name\": \"verify.snp\", \"value\": %.1f, \"unit\": \"us\", \"alternative\": \"the OpenSSL calls it must "
      "make\", "
      "\"alternative_value\": %.1f, \"rounds\": %d, \"allocations\": %zu, \"alternative_allocations\": %zu}\n",
      ours.Median(), bare.Median(), rounds, ours.allocations, bare.allocations);
  return 0;
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 500;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: ccgpu-bench-snp [ROUNDS]\n");
    return 2;
  }
  ccgpu::bench::CountOpenSsl();
  return ccgpu::Run(rounds);
}
