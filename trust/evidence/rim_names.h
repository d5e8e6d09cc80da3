// Names and namespaces of RIMs and their signatures. Included by rim's sources only.
#pragma once

#include <string_view>

namespace ccgpu::evidence {

inline constexpr std::string_view kSwidNs = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
inline constexpr std::string_view kRimNs =
    "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/";
inline constexpr std::string_view kHashNs = "http://www.w3.org/2001/04/xmlenc#sha384";
// Reference values that are compared with opaque data instead of measurements.
inline constexpr std::string_view kOpaqueNs = "https://docs.nvidia.com/attestation/specs/latest/opaque-data.html";
inline constexpr std::string_view kDsigNs = "http://www.w3.org/2000/09/xmldsig#";
inline constexpr std::string_view kC14n = "http://www.w3.org/2006/12/xml-c14n11";
inline constexpr std::string_view kEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
inline constexpr std::string_view kEcdsaSha384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
inline constexpr std::string_view kSha384Url = "http://www.w3.org/2001/04/xmldsig-more#sha384";

}  // namespace ccgpu::evidence
