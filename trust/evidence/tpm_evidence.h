// Evidence of a machine with a TPM: a quote, what the quoted registers hold, whose key signed, and the event log.
//
// CoCo's JSON of tee "tpm":
//   {"ak_public":b64 SubjectPublicKeyInfo,"tpm_quote":{"message":b64,"signature":b64 TPMT_SIGNATURE,"pcrs":[hex or
//   null]}}
// and what ccgpu adds, all optional: "ak_area" (b64 TPMT_PUBLIC), "ak_certificates" (PEM, leaf first), "event_log"
// (b64).
#pragma once

#include <map>
#include <string>

#include "base/bytes.h"
#include "base/json.h"

namespace ccgpu::evidence {

struct TpmEvidence {
  Bytes quote;                     // TPMS_ATTEST, the bytes that are signed
  Bytes signature;                 // TPMT_SIGNATURE
  std::map<uint32_t, Bytes> pcrs;  // of the bank that the quote selects
  Bytes ak_public;                 // SubjectPublicKeyInfo; empty when ak_area or a certificate says it
  Bytes ak_area;                   // TPMT_PUBLIC: says besides the key what it may sign
  std::string ak_certificates;     // PEM, leaf first
  Bytes event_log;                 // TCG log; empty when there is none
};

// Unknown members are refused, since something in them might have been meant to count. Errors: evidence.malformed.
std::string TpmEvidenceToJson(const TpmEvidence& evidence);
Result<TpmEvidence> TpmEvidenceFromJson(std::string_view json);

// How JSON carries bytes: texts, or arrays of numbers as Rust's serde writes them.
enum class BytesForm { kHex, kBase64, kBase64Url, kNumbers };
// `where` names the value in errors. Base64 of either alphabet may be padded or not.
Result<Bytes> BytesOfJson(const Json& value, BytesForm form, const std::string& where);
// An array of registers' values in their order; null for one that is not there.
Result<std::map<uint32_t, Bytes>> PcrsOfJson(const Json& value, BytesForm form, const std::string& where);
nlohmann::ordered_json PcrsToJson(const std::map<uint32_t, Bytes>& pcrs);  // hexadecimal

}  // namespace ccgpu::evidence
