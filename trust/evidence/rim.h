// Reference integrity manifests: TCG RIM as SWID XML (ISO 19770-2:2015) with an enveloped XML signature, in NVIDIA's
// profile (docs/formats/rim.md).
//
// The signature's profile is fixed here and never taken from the document: c14n 1.1, enveloped, one Reference with URI
// "", SHA-384, ECDSA P-384; anything else is an error. What is read is the same parsed tree that is digested.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crypto/x509.h"
#include "trust/evidence/opaque.h"

namespace ccgpu::evidence {

struct RimMeasurement {
  uint8_t index = 0;  // as in GpuReport::measurements
  bool active = false;
  std::vector<Bytes> alternatives;  // any of them is fine
  std::string name;                 // "Measurement_7"; filled in when empty
};

struct Rim {
  std::string tag_id, name, colloquial_version, edition, product, manufacturer, manufacturer_id;
  std::vector<RimMeasurement> measurements;  // ascending by index
  std::vector<crypto::Certificate> chain;    // leaf first, as embedded; not checked
  // For VerifyRimSignature.
  Bytes document_digest, claimed_digest, signed_info, signature;

  const RimMeasurement* Find(uint8_t index) const;
};

inline constexpr size_t kMaxRimSize = 1u << 20;

// Parses and digests. Does not judge the signature. Errors: rim.malformed, rim.signature-profile.
Result<Rim> ParseRim(std::string_view xml);
// True when the document's digest is the signed one and the signature fits the embedded leaf certificate's key (P-384).
[[nodiscard]] bool VerifyRimSignature(const Rim& rim);

// A signed RIM. `spec`: everything but the signature fields and `chain`; an empty tag_id becomes the SHA-384 of the
// measurements. Writes indexes 0..63, inactive and zero where `spec` has none. Error: rim.malformed when spec cannot be
// written.
Result<std::string> MakeRim(const Rim& spec, const crypto::PrivateKey& signer,
                            const std::vector<crypto::Certificate>& leaf_first);

// "NV_GPU_DRIVER_GH100_550.90.07" and "NV_GPU_VBIOS_1010_0200_882_96009F0001".
std::string DriverRimId(const OpaqueData& opaque);
std::string VbiosRimId(const OpaqueData& opaque);
// "NV_SWITCH_BIOS_5612_0002_890_9610550001": of an LS10, whose report does not carry its board's numbers.
std::string SwitchBiosRimId(const OpaqueData& opaque);

}  // namespace ccgpu::evidence
