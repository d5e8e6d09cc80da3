// Signed documents of Intel's provisioning certification service (PCS API v4) that a TDX quote is judged by: TCB info
// of a platform type and the identity of the quoting enclave. docs/formats/tdx-collateral.md.
//
// Both are JSON of the form {"<name>":{..},"signature":"<128 hex>"}; the signature is ECDSA P-256 with SHA-256 over the
// bytes of the inner object exactly as they stand in the text, which is why those bytes are kept.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto/key.h"

namespace ccgpu::evidence {

// As PCS gives it: the body, and the issuer chain from its HTTP header after URL decoding.
struct IntelDocument {
  std::string body;
  std::string issuer_chain;  // PEM: TCB signing certificate, root
};

enum class TcbStatus {
  kUpToDate,
  kSwHardeningNeeded,
  kConfigurationNeeded,
  kConfigurationAndSwHardeningNeeded,
  kOutOfDate,
  kOutOfDateConfigurationNeeded,
  kRevoked,
};
const char* TcbStatusName(TcbStatus status);  // Intel's word, "UpToDate"
std::optional<TcbStatus> ParseTcbStatus(std::string_view name);

struct SignedText {
  std::string text;  // the inner object's bytes
  Bytes signature;   // r||s
};

// What every level has. The first level of a list that a platform reaches is the one that counts.
struct TcbVerdict {
  TcbStatus status = TcbStatus::kRevoked;
  std::string date;  // as written
  std::vector<std::string> advisories;
};
struct PlatformTcbLevel {
  std::array<uint8_t, 16> sgx{}, tdx{};
  uint16_t pce_svn = 0;
  TcbVerdict verdict;
};
struct EnclaveTcbLevel {
  uint16_t isv_svn = 0;
  TcbVerdict verdict;
};

// Who signed a TDX module, and which SEAM attributes it runs with.
struct TdxModuleIdentity {
  std::string id;  // "TDX_01": for modules of that major version; empty for the platform's default
  Bytes mr_signer = Bytes(48), attributes = Bytes(8), attributes_mask = Bytes(8, 0xff);
  std::vector<EnclaveTcbLevel> levels;
};

struct TcbInfo {
  SignedText signature;
  TimePoint issue_date{}, next_update{};
  Bytes fmspc = Bytes(6), pce_id = Bytes(2);
  uint32_t tcb_type = 0, evaluation_number = 0;
  TdxModuleIdentity module;
  std::vector<TdxModuleIdentity> modules;
  std::vector<PlatformTcbLevel> levels;
};

struct QeIdentity {
  SignedText signature;
  TimePoint issue_date{}, next_update{};
  uint32_t evaluation_number = 0;
  Bytes misc_select = Bytes(4), misc_select_mask = Bytes(4, 0xff);
  Bytes attributes = Bytes(16), attributes_mask = Bytes(16, 0xff);
  Bytes mr_signer = Bytes(32);
  uint16_t isv_prod_id = 0;
  std::vector<EnclaveTcbLevel> levels;
};

// Only TDX's TCB info of version 3 and the TD_QE identity of version 2 are read. Errors: intel.document-malformed.
Result<TcbInfo> ParseTcbInfo(std::string_view body);
Result<QeIdentity> ParseQeIdentity(std::string_view body);
// The body's text, signed; `signature` of the argument is not looked at.
std::string MakeTcbInfo(const TcbInfo& info, const crypto::PrivateKey& key);
std::string MakeQeIdentity(const QeIdentity& identity, const crypto::PrivateKey& key);

}  // namespace ccgpu::evidence
