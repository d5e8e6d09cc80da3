#include "trust/verify/token/chain.h"

#include "trust/verify/anchors.h"
#include "trust/verify/chain.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {
namespace {

constexpr size_t kMaxChain = 8;
// Revocation is not asked about, so its codes are never used.
constexpr ChainCodes kCodes = {"token.chain-malformed", "token.untrusted-root", "token.chain-invalid",
                               "token.chain-expired",   "token.chain-invalid",  "token.chain-invalid",
                               "token.chain-invalid",   "token.chain-invalid"};

}  // namespace

Result<crypto::PublicKey> KeyOfChain(const std::vector<Bytes>& chain, const std::vector<crypto::Certificate>& roots,
                                     bool accept_emulated, TimePoint now) {
  if (chain.empty() || chain.size() > kMaxChain)
    return Err(kCodes.malformed, "",
               "the chain has " + std::to_string(chain.size()) + " certificates, expected 1 to 8");
  std::vector<crypto::Certificate> list;
  for (const Bytes& der : chain) {
    auto certificate = crypto::Certificate::FromDer(der);
    if (!certificate.ok())
      return Err(kCodes.malformed, "", "certificate " + std::to_string(list.size()) + " " + certificate.error().text);
    list.push_back(std::move(*certificate));
  }
  if (const crypto::Certificate* anchor = FindAnchor(roots, list.back())) list.back() = *anchor;
  else if (const crypto::Certificate* issuer = FindIssuer(roots, list.back())) list.push_back(*issuer);
  else
    return Err(kCodes.untrusted_root, "",
               "the chain ends in \"" + list.back().SubjectName() + "\", and none of the " +
                   std::to_string(roots.size()) + " pinned roots is or issued it");
  if (SaysEmulated(list.back()) && !accept_emulated) {
    return Err("environment.emulated", "",
               "the root \"" + list.back().SubjectName() +
                   "\" is an emulator's; start the verifier with --insecure-accept-emulated to accept it");
  }
  // The root decides: all P-384 with SHA-384, or all P-256 with SHA-256 (Confidential Containers' services).
  ChainProfile profile;
  if (list.back().key().type() == crypto::KeyType::kP256) {
    profile.leaf_key = profile.issuer_key = crypto::KeyType::kP256;
    profile.hash = crypto::Hash::kSha256;
  }
  Cache cache;
  LinkCache links(cache.tables());
  RETURN_IF_ERROR(CheckLinks(list, profile, kCodes, links));
  RETURN_IF_ERROR(CheckValidity(list, now, kCodes));
  if (list[0].HasKeyUsage() && !list[0].MayDigitalSign())
    return Err(kCodes.invalid, "", "the leaf's key usage does not allow signatures");
  return list[0].key();
}

}  // namespace ccgpu::verify
