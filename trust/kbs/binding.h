// What evidence commits to (KBS protocol 0.4.0): the digests of nonce, agent key and GPU evidence that the devices and
// the CPU sign. Agent and broker compute them with this same code. docs/formats/kbs.md, "Binding".
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto/digest.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::kbs {

// The hash of the canonical (RFC 8785) text of a JSON value.
Result<Bytes> ReportData(std::string_view json_material, crypto::Hash hash = crypto::Hash::kSha384);

// SHA-384 over {"nonce", "tee-pubkey"}, 48 bytes: what each device's evidence must carry. `nonce` is the broker's
// base64 text.
Bytes DeviceReportData(std::string_view nonce, const PublicJwk& key);
// SHA-384 over {"additional-evidence", "nonce", "tee-pubkey"}, 48 bytes: what the CPU's evidence must carry.
// `additional_evidence` is the exact string that is sent, "" when there are no devices.
Bytes PrimaryReportData(std::string_view nonce, const PublicJwk& key, std::string_view additional_evidence);

// As the hardware fields hold them: the SPDM nonce is the first 32 bytes, REPORT_DATA is filled with zeros to 64.
Bytes GpuNonce(ByteView device_report_data);
Bytes SnpReportData(ByteView primary_report_data);

// The hash a challenge's extra-params ask for ("selected-hash-algorithm", any case); SHA-384 when they ask for none.
Result<crypto::Hash> SelectedHash(std::string_view extra_params_json);

}  // namespace ccgpu::kbs
