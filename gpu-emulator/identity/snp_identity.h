// The secure processor's chip: an AMD-like ARK, ASK and VCEK that say EMULATED, and the facts that its reports carry.
#pragma once

#include <string>

#include "base/clock.h"
#include "gpu-emulator/identity/key_store.h"
#include "trust/evidence/snp_certs.h"
#include "trust/evidence/snp_report.h"

namespace ccgpu::emulator {

// Immutable, any thread.
struct SnpIdentity {
  crypto::Certificate ark, ask, vcek;
  crypto::PrivateKey vcek_key;  // P-384
  std::string product;          // "Genoa"
  uint8_t cpuid_family = 0x19, cpuid_model = 0x11, cpuid_stepping = 1;
  Bytes chip_id;  // 64 bytes
  evidence::TcbParts tcb;
  Bytes cert_table;  // GUID table of VCEK, ASK, ARK, as configfs-tsm's auxblob
};

// Who certifies chips: one for a whole deployment.
struct AmdAuthority {
  Authority ark, ask;
};
// Loads it from `dir`, or makes it there (two RSA-4096 keys: seconds). Errors: "identity.damaged".
Result<AmdAuthority> LoadOrMakeAmdAuthority(const std::string& dir, TimePoint now);

// Loads chip and authority from `dir`, or makes what is missing there. Private keys are 0600.
// Errors: "identity.damaged" when files are there but do not fit together; nothing is ever made anew over them.
Result<SnpIdentity> LoadOrMakeSnpIdentity(const std::string& dir, TimePoint now);

}  // namespace ccgpu::emulator
