// What a relying party asks of an SEV-SNP report (VerifySnp). Everything that is not asked for is said in the claims.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trust/evidence/snp_report.h"

namespace ccgpu::verify {

struct References;  // corim.h

struct SnpOptions {
  Bytes report_data;                 // 64 bytes, required (snp.report-data-missing)
  std::optional<Bytes> host_data;    // 32 bytes: SHA-256 of the initdata document
  std::optional<Bytes> measurement;  // 48 bytes: the launch digest
  uint32_t vmpl = 0;                 // exactly this one

  // The guest's policy. Bits by evidence::snp_policy; required ones must be set, forbidden ones clear.
  bool allow_debug = false;
  bool allow_migration_agent = false;
  bool allow_smt = true;
  uint64_t required_policy = 0, forbidden_policy = 0;
  uint8_t minimum_abi_major = 0, minimum_abi_minor = 0;

  // The platform. Bits by evidence::snp_platform.
  bool require_alias_check = false;  // PLATFORM_INFO.ALIAS_CHECK_COMPLETE (BadRAM, CVE-2024-21944)
  uint64_t required_platform = 0;
  bool require_committed_is_current = false;      // refuse provisional firmware
  std::optional<evidence::TcbParts> minimum_tcb;  // of REPORTED_TCB, part by part
  std::optional<evidence::TcbParts> minimum_launch_tcb;
  std::optional<evidence::SnpVersion> minimum_firmware;  // of the committed version
  uint64_t required_mitigations = 0;                     // in both vectors; a report before version 5 has none

  // Whose key, which machine. Empty lists accept any.
  bool allow_vlek = true;
  bool allow_masked_chip_id = true;   // a VCEK's report with CHIP_ID zero; the signature names the chip all the same
  std::optional<Bytes> chip_id;       // pin one machine
  std::vector<std::string> products;  // lines that may sign: Milan, Genoa, Turin
  std::vector<std::string> csp_ids;   // providers whose VLEK may sign

  // Who signed the guest's identity block. Empty lists accept any, or none at all.
  std::vector<Bytes> id_keys, author_keys;  // SHA-384 digests
  std::optional<Bytes> family_id, image_id;
  uint32_t minimum_guest_svn = 0;

  // Signed CoRIM reference values (corim.h) that the launch measurement must fit as well; nullptr: none.
  std::shared_ptr<const References> references = nullptr;

  bool require_revocation =
      false;  // a CRL of the ARK in the collateral is always honoured; this makes a fresh one a must
  std::chrono::seconds revocation_max_age = std::chrono::hours(24 * 365);  // AMD issues its lists about yearly
};

}  // namespace ccgpu::verify
