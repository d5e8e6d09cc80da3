// The facts that NVIDIA's device certificates carry beyond plain X.509 (TCG DICE 1.1, DSP0274 10.8.2).
//
// A chain is PEM, leaf first: attestation key, GPU identity, provisioner, family, root.
#pragma once

#include <string>
#include <vector>

#include "base/crypto/x509.h"

namespace ccgpu::evidence {

inline constexpr size_t kGpuChainLength = 5;
inline constexpr char kOidCompositeDeviceId[] = "2.23.133.5.4.1";  // Hopper, LS10
inline constexpr char kOidDiceTcbInfo[] = "2.23.133.5.4.1.1";      // Blackwell
inline constexpr char kOidSubjectAltName[] = "2.5.29.17";

// The firmware id that the leaf was made for, 48 bytes. Errors: gpu.chain-profile when neither extension is there, one
// is there twice, both are there, or it cannot be read.
Result<Bytes> LeafFwid(const crypto::Certificate& leaf);
// The content of the 2.23.133.5.4.1 extension: SEQUENCE { 1, SubjectPublicKeyInfo of the identity key, SEQUENCE {
// sha384, fwid } }.
Bytes MakeFwidExtension(const crypto::PublicKey& identity_key, ByteView fwid);
// The content of a subjectAltName with the DMTF device info otherName, "NVIDIA:GH100:48B02D92494BADF4".
Bytes MakeDeviceInfoSan(std::string_view text);

// Decimal text of the leaf's serial number: NVIDIA's claim "ueid".
std::string Ueid(const crypto::Certificate& leaf);
// The first byte of the identity certificate's serial number: what kind of device it names.
inline constexpr uint8_t kIdentityGpu = 0x41, kIdentityGpuOlder = 0x40, kIdentitySwitch = 0x50;
// Precondition: DevicePdi(identity) is ok.
uint8_t IdentityKind(const crypto::Certificate& identity);
// Device PDI: the low 8 bytes of the identity certificate's serial number (kind || PDI). Errors: gpu.chain-profile.
Result<Bytes> DevicePdi(const crypto::Certificate& identity);
// Leaf first, as NVML hands it out.
std::string ChainPem(const std::vector<crypto::Certificate>& leaf_first);

}  // namespace ccgpu::evidence
