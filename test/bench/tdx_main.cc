// One TDX quote judged with Intel's documents, against the OpenSSL calls that nobody can leave out: reading the four
// certificates and the two lists, the nine signatures (PCK certificate, its CA, TCB signer, two lists, two documents,
// QE report, quote). CPU time of this thread, taken in turns so that what else the machine does hits both; allocations
// of both are counted. Prints the row that test/bench/run_bench.py reads.
//
//   ccgpu-bench-tdx [ROUNDS]
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test/bench/cost.h"
#include "trust/verify/testing/tdx_world.h"

namespace ccgpu {
namespace {

constexpr int kWarmUp = 5;

// What the bare calls need besides the bytes: where the signed pieces lie.
struct Pieces {
  const verify::TdxWorld& world;
  evidence::TdxQuote quote;
  evidence::SignedText tcb_info, qe_identity;
};

bool VerifyRaw(EVP_PKEY* key, ByteView data, ByteView raw) {
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(raw.data(), 32, nullptr), BN_bin2bn(raw.data() + 32, 32, nullptr));
  uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key);
  const bool good = EVP_DigestVerify(context, der, static_cast<size_t>(size), data.data(), data.size()) == 1;
  EVP_MD_CTX_free(context);
  OPENSSL_free(der);
  ECDSA_SIG_free(signature);
  return good;
}

std::vector<X509*> ReadPem(const std::string& text) {
  std::vector<X509*> out;
  BIO* in = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  while (X509* one = PEM_read_bio_X509(in, nullptr, nullptr, nullptr)) out.push_back(one);
  BIO_free(in);
  ERR_clear_error();
  return out;
}

// What no verifier of these bytes can do without.
bool Bare(const Pieces& p) {
  EVP_PKEY* root = X509_get0_pubkey(p.world.chain[2].certificate.raw());
  const std::vector<X509*> chain = ReadPem(p.quote.pck_chain);
  const std::vector<X509*> issuers = ReadPem(p.world.collateral.tcb_infos[0].issuer_chain);
  bool good = chain.size() == 3 && issuers.size() == 2;
  EVP_PKEY *pck = X509_get0_pubkey(chain[0]), *ca = X509_get0_pubkey(chain[1]), *signer = X509_get0_pubkey(issuers[0]);
  good =
      good && X509_verify(chain[1], root) == 1 && X509_verify(chain[0], ca) == 1 && X509_verify(issuers[0], root) == 1;
  EVP_PKEY* const list_keys[] = {root, ca};
  for (size_t i = 0; i < 2; ++i) {
    const Bytes& der = p.world.collateral.crls[i];
    const uint8_t* at = der.data();
    X509_CRL* crl = d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()));
    good = good && X509_CRL_verify(crl, list_keys[i]) == 1;
    X509_CRL_free(crl);
  }
  good = good && VerifyRaw(signer, AsBytes(p.tcb_info.text), p.tcb_info.signature) &&
         VerifyRaw(signer, AsBytes(p.qe_identity.text), p.qe_identity.signature) &&
         VerifyRaw(pck, p.quote.qe_report_bytes, p.quote.qe_signature);
  const auto key = crypto::PublicKey::FromPoint(crypto::KeyType::kP256, p.quote.attestation_key);
  good = good && VerifyRaw(key->raw(), ByteView(p.world.evidence.quote).first(p.quote.signed_size), p.quote.signature);
  for (X509* one : chain) X509_free(one);
  for (X509* one : issuers) X509_free(one);
  return good;
}

int Run(int rounds) {
  const verify::TdxWorld world;
  const Pieces pieces{world, evidence::ParseTdxQuote(world.evidence.quote).value(),
                      evidence::ParseTcbInfo(world.collateral.tcb_infos[0].body)->signature,
                      evidence::ParseQeIdentity(world.collateral.qe_identities[0].body)->signature};
  bench::Cost ours, bare;
  for (int round = 0; round < rounds + kWarmUp; ++round) {
    if (round == kWarmUp) ours.times.clear(), bare.times.clear();
    if (!ours.Take([&] { return world.Run().accepted; }) || !bare.Take([&] { return Bare(pieces); })) {
      std::fprintf(stderr, "ccgpu-bench-tdx: the quote was refused\n");
      return 1;
    }
  }
  std::printf(
      "{\"name\": \"verify.tdx\", \"value\": %.1f, \"unit\": \"us\", \"alternative\": \"the OpenSSL calls it must "
      "make\", \"alternative_value\": %.1f, \"rounds\": %d, \"allocations\": %zu, \"alternative_allocations\": %zu}\n",
      ours.Median(), bare.Median(), rounds, ours.allocations, bare.allocations);
  return 0;
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 500;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: ccgpu-bench-tdx [ROUNDS]\n");
    return 2;
  }
  ccgpu::bench::CountOpenSsl();
  return ccgpu::Run(rounds);
}
