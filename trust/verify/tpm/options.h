// What a relying party asks of a TPM quote (VerifyTpm).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/crypto/x509.h"
#include "trust/evidence/tpm_algorithms.h"

namespace ccgpu::verify {

struct TpmOptions {
  // What the quote's extraData must be, 16 to 64 bytes, whole; required (tpm.nonce-missing).
  Bytes nonce;
  // Exactly these registers of exactly this bank must be quoted: no bank more, no register less. The default is MAA's
  // required_pcr_mask.
  uint16_t bank = evidence::tpm_alg::kSha256;
  std::vector<uint32_t> pcrs = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
  // SHA-1 collides: two logs with one register value. Refused as bank and in signatures, unless this says otherwise.
  bool allow_sha1 = false;

  std::map<uint32_t, Bytes> expected_pcrs;  // register -> value
  // A log, when there is one, always has to replay to the quoted values. This makes one a must.
  bool require_event_log = false;
  // Registers that may hold measurements that neither the log nor expected_pcrs accounts for: IMA's, the debug
  // register, the applications'.
  std::set<uint32_t> unlogged_pcrs = {10, 16, 23};
  bool require_secure_boot = false;  // by the log's PCR 7 events

  // Whose key. An attestation key is a TPM's when a certificate chain to one of Anchors::tpm_roots says so, or when it
  // is one of `pinned_keys` (SubjectPublicKeyInfo), or when the hardware report around it says so (Azure). There are no
  // built-in roots: a caller that pins a root or key says that it stands for real TPMs, unless the root's name says
  // EMULATED.
  std::vector<crypto::Certificate> roots;  // beside Anchors::tpm_roots
  std::vector<Bytes> pinned_keys;
  // A certificate must be for one of these uses: the TCG's attestation keys. Google's carry 2.23.133.8.1 instead.
  std::set<std::string> certificate_uses = {"2.23.133.8.3"};
  bool require_revocation = false;  // statements in the collateral always count
  std::chrono::seconds revocation_max_age = std::chrono::hours(24 * 30);
};

}  // namespace ccgpu::verify
