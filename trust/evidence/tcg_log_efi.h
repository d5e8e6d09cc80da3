// What UEFI measured into PCR 7: the secure boot variables, and the signature lists in them (UEFI 2.10, section 32.4).
#pragma once

#include <string>
#include <vector>

#include "trust/evidence/tcg_log.h"

namespace ccgpu::evidence {

// UEFI_VARIABLE_DATA, the event data of variable events.
struct EfiVariable {
  Bytes vendor;      // GUID as stored, 16 bytes
  std::string name;  // ASCII only
  Bytes data;
};
// Errors: tcg-log.efi-malformed. Lengths must add up exactly.
Result<EfiVariable> ParseEfiVariable(ByteView data);
Bytes EncodeEfiVariable(const EfiVariable& variable);

struct EfiSignature {
  enum class Kind { kSha256, kX509, kX509Sha256, kOther };
  Kind kind = Kind::kOther;
  Bytes owner;  // GUID, 16 bytes
  Bytes data;   // the digest or the DER certificate, without the list's and the signature's headers
};
// A concatenation of EFI_SIGNATURE_LIST. A list of a kind that we know has no signature header and its signatures have
// their kind's size: otherwise bytes of a header would be read as digests that someone trusts (GHSA-9r4w-jg96-92mv).
Result<std::vector<EfiSignature>> ParseEfiSignatureLists(ByteView data);

// Secure boot as PCR 7 saw it before the operating system could write there.
struct SecureBootFacts {
  bool enabled = false;
  std::vector<EfiSignature> platform_keys, exchange_keys, permitted, forbidden;  // PK, KEK, db, dbx
};
// Only from events of PCR 7 before its separator, each of whose data its digest covers; a separator that is missing,
// not zero or there twice, a variable that is there twice, and data that its digest does not cover are errors
// (tcg-log.secure-boot). The caller has compared the replay of this bank's PCR 7 with a trusted value.
Result<SecureBootFacts> ReadSecureBoot(const TcgLog& log, uint16_t algorithm);

}  // namespace ccgpu::evidence
