// Intel's extension of PCK certificates (Intel SGX PCK Certificate and CRL Profile
// Specification, 1.2.840.113741.1.13.1): which platform the key is of, and at which TCB it was certified.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/crypto/x509.h"

namespace ccgpu::evidence {

inline constexpr char kOidSgxExtensions[] = "1.2.840.113741.1.13.1";

struct PckExtensions {
  Bytes ppid = Bytes(16);
  std::array<uint8_t, 16> components{};  // SVNs, in the order of the TCB info's sgxtcbcomponents
  uint16_t pce_svn = 0;
  Bytes cpu_svn = Bytes(16);
  Bytes pce_id = Bytes(2);
  Bytes fmspc = Bytes(6);
  uint8_t sgx_type = 0;                    // 0 standard, 1 scalable, 2 scalable with integrity
  std::optional<Bytes> platform_instance;  // 16 bytes; in certificates of the Platform CA
  std::optional<bool> dynamic_platform, cached_keys, smt_enabled;
};

// Errors: evidence.malformed: the extension is missing, there twice, or not in its form; unknown members are refused.
Result<PckExtensions> ReadPckExtensions(const crypto::Certificate& certificate);
crypto::CertificateSpec::Extra MakePckExtension(const PckExtensions& facts);

}  // namespace ccgpu::evidence
