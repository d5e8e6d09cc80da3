// Which root a chain ends in, and what that says about the environment. Included by trust/verify's own sources only.
#pragma once

#include <string>
#include <vector>

#include "base/crypto/x509.h"
#include "trust/verify/internal.h"

namespace ccgpu::verify {

enum class RootKind { kDevice, kRim, kAmd, kIntel };

// The pinned certificate with the same key and name as `claimed`; nullptr when there is none. Use what this returns,
// never the root that the evidence brought.
const crypto::Certificate* FindAnchor(const std::vector<crypto::Certificate>& anchors,
                                      const crypto::Certificate& claimed);
// Who of `candidates` signed `subject`; nullptr when nobody.
const crypto::Certificate* FindIssuer(const std::vector<crypto::Certificate>& candidates,
                                      const crypto::Certificate& subject);
// "hardware" by a vendor's key, "emulated" by the root's name, "" otherwise.
std::string EnvironmentOf(const crypto::Certificate& root, RootKind kind);
// Sets `environment` when it was empty; fails on emulated (unless accepted), unknown and mixed.
Finding CheckEnvironment(const crypto::Certificate& root, RootKind kind, bool accept_emulated,
                         std::string& environment);

}  // namespace ccgpu::verify
