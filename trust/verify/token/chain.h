// Certificates that a token or message brings along (x5c, x5chain). Included by trust/verify's own sources only.
#pragma once

#include "base/clock.h"
#include "base/crypto/x509.h"
#include "trust/verify/internal.h"

namespace ccgpu::verify {

// The leaf's key when the chain (DER, leaf first, with or without its root) ends in one of `roots`, holds at `now`, and
// the leaf may sign. All keys P-384 and all signatures ECDSA with SHA-384, or all P-256 and SHA-256, as the root is.
// Revocation is not asked about: who pins a root
// for tokens takes the root away. Errors: token.chain-malformed, token.untrusted-root, token.chain-invalid,
// token.chain-expired; environment.emulated for a root whose name says so, unless accepted.
Result<crypto::PublicKey> KeyOfChain(const std::vector<Bytes>& chain, const std::vector<crypto::Certificate>& roots,
                                     bool accept_emulated, TimePoint now);

}  // namespace ccgpu::verify
