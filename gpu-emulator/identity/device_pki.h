// The emulator's stand-in for NVIDIA's device identity and RIM authorities, and the boards' own certificates, in
// NVIDIA's profile (P-384, SHA-384, DICE FWID; trust/evidence/gpu_certs.h).
//
//   EMULATED, NOT NVIDIA: ccgpu Device Identity CA            EMULATED, NOT NVIDIA: ccgpu CoRIM signing Root CA
//   -> EMULATED GH100 Identity                                -> EMULATED Reference Value GH100 CA
//   -> EMULATED GH100 Provisioner ICA 1                       -> EMULATED Reference Value L3 GH100 001
//   -> GH100 A01 GSP BROM (EMULATED)      one per board       -> EMULATED HCC RIM L4 Signer
//   -> GH100 A01 GSP FMC LF (EMULATED)    attestation key
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "gpu-emulator/identity/key_store.h"
#include "gpu-emulator/profiles/profile.h"

namespace ccgpu::emulator {

// Who made a certificate, and the responder that may speak about its revocation (RFC 6960 4.2.2.2: issued by that CA).
struct Issuer {
  Authority authority;
  Authority ocsp_responder;
};

// Immutable once made, any thread.
struct DevicePki {
  Issuer root, family, provisioner;  // device identity
  Issuer rim_root, rim_ca, rim_intermediate;
  Authority rim_signer;

  std::vector<crypto::Certificate> RimChain() const;  // leaf first, root last
};

// `chip` ("GH100") is part of the names: another chip in the same folder gets its own family below the same roots.
Result<DevicePki> LoadOrMakeDevicePki(const std::string& dir, const std::string& chip, TimePoint now);

// One board's identity.
struct BoardIdentity {
  std::string uuid;  // "GPU-...": belongs to the slot, a swapped board keeps it (nothing authenticates a UUID)
  Bytes pdi;         // 8 bytes
  Bytes fwid;        // 48 bytes
  crypto::Certificate identity, attestation;
  crypto::PrivateKey attestation_key;
  std::vector<crypto::Certificate> chain;  // leaf first, root last: five
};

// Whether a certificate with this serial number is a board's, made by one who holds the provisioner's key: three bytes
// of each PDI are a MAC under that key. So the emulators of several nodes, which share their authorities
// (control/authorities.h), know each other's boards without a list of them.
bool IsBoardSerial(const DevicePki& pki, ByteView serial);

// Loads or makes the board in slot `index`: stable over restarts.
Result<BoardIdentity> LoadOrMakeBoard(const std::string& dir, uint32_t index, const DevicePki& pki,
                                      const Profile& profile, TimePoint now);
// Another board under the same roots for the same slot; kept nowhere (fault "swap").
Result<BoardIdentity> MakeSwappedBoard(const BoardIdentity& original, const DevicePki& pki, const Profile& profile,
                                       TimePoint now);

}  // namespace ccgpu::emulator
