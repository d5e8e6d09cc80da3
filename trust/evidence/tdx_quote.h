// Intel TDX quotes, versions 4 and 5 (Intel TDX DCAP Quoting Library API, appendix A.3 and A.4;
// docs/formats/tdx-quote.md).
//
// Parsing checks form only (lengths, body types, reserved bytes); what the values must be is trust/verify's work.
// Encode(Parse(x)) is the first `size` bytes of x for every x that Parse accepts: producers hand out fixed buffers, so
// bytes behind the quote are not read and mean nothing.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::evidence {

inline constexpr size_t kTdxHeaderSize = 48, kTdxBody10Size = 584, kTdxBody15Size = 648, kQeReportSize = 384;
inline constexpr size_t kMaxTdxQuoteSize = 64 << 10;
inline constexpr uint16_t kTdxKeyEcdsaP256 = 2;
inline constexpr uint32_t kTeeTypeTdx = 0x81;

namespace tdx_offset {  // in the header
inline constexpr size_t kVersion = 0, kKeyType = 2, kTeeType = 4, kVendor = 12;
}
namespace td_offset {  // in the TD report
inline constexpr size_t kTeeTcbSvn = 0x0, kMrSeam = 0x10, kMrSignerSeam = 0x40, kSeamAttributes = 0x70,
                        kTdAttributes = 0x78, kXfam = 0x80, kMrTd = 0x88, kMrConfigId = 0xb8, kMrOwner = 0xe8,
                        kMrOwnerConfig = 0x118, kRtmr0 = 0x148, kReportData = 0x208, kTeeTcbSvn2 = 0x248,
                        kMrServiceTd = 0x258;
}
namespace td_attribute {
inline constexpr uint64_t kDebug = 1, kSeptVeDisable = 1ull << 28, kPks = 1ull << 30, kPerfmon = 1ull << 63;
}

// TD report body; the last two fields since TDX 1.5 (both or none).
struct TdReport {
  Bytes tee_tcb_svn = Bytes(16);
  Bytes mr_seam = Bytes(48), mr_signer_seam = Bytes(48);
  uint64_t seam_attributes = 0, td_attributes = 0, xfam = 0;
  Bytes mr_td = Bytes(48), mr_config_id = Bytes(48), mr_owner = Bytes(48), mr_owner_config = Bytes(48);
  std::array<Bytes, 4> rtmrs = {Bytes(48), Bytes(48), Bytes(48), Bytes(48)};
  Bytes report_data = Bytes(64);
  std::optional<Bytes> tee_tcb_svn2, mr_service_td;  // 16 and 48 bytes
};

// SGX report body of the quoting enclave (Intel SDM volume 3D, table 38-21).
struct QeReport {
  Bytes cpu_svn = Bytes(16);
  uint32_t misc_select = 0;
  Bytes isv_ext_prod_id = Bytes(16), attributes = Bytes(16);
  Bytes mr_enclave = Bytes(32), mr_signer = Bytes(32), config_id = Bytes(64);
  uint16_t isv_prod_id = 0, isv_svn = 0, config_svn = 0;
  Bytes isv_family_id = Bytes(16), report_data = Bytes(64);
};
Result<QeReport> ParseQeReport(ByteView bytes);
Bytes EncodeQeReport(const QeReport& report);

struct TdxQuote {
  uint16_t version = 4;
  uint16_t key_type = kTdxKeyEcdsaP256;
  uint32_t tee_type = kTeeTypeTdx;
  uint16_t qe_svn = 0, pce_svn = 0;  // version 5: reserved
  Bytes vendor = Bytes(16), user_data = Bytes(20);
  TdReport body;
  Bytes signature = Bytes(64);        // r||s
  Bytes attestation_key = Bytes(64);  // X||Y on P-256
  Bytes qe_report_bytes = Bytes(kQeReportSize);
  Bytes qe_signature = Bytes(64);
  Bytes qe_auth_data;
  std::string pck_chain;  // PEM, leaf first

  size_t body_offset = kTdxHeaderSize;  // 54 in version 5
  size_t signed_size = 0;               // header and body: what the attestation key signs
  size_t size = 0;                      // of the whole quote
};

struct TdxHeader {
  uint16_t version = 0, key_type = 0;
  uint32_t tee_type = 0;
};
// The words that decide how the rest is read. Errors: tdx.quote-malformed.
Result<TdxHeader> ParseTdxHeader(ByteView quote);

// Errors: tdx.quote-malformed, with the offset in the text; also for versions other than 4 and 5, key types other than
// ECDSA P-256 and certification data other than a PCK chain.
Result<TdxQuote> ParseTdxQuote(ByteView quote);
Bytes EncodeTdxQuote(const TdxQuote& quote);

// What the QE report must carry in its REPORTDATA for this key: SHA-256(key || auth data), then zeros.
Bytes AttestationKeyBinding(ByteView attestation_key, ByteView auth_data);
// Fills in keys, QE report and both signatures, and gives the quote's bytes.
Bytes SignTdxQuote(TdxQuote& quote, const crypto::PrivateKey& attestation_key, QeReport qe,
                   const crypto::PrivateKey& pck);

}  // namespace ccgpu::evidence
