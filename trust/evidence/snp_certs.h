// What comes with an SNP report: the VCEK or VLEK certificate and its AMD extensions, the extended report's certificate
// table, and CoCo's evidence JSON that holds report and certificates.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto/x509.h"
#include "trust/evidence/snp_report.h"

namespace ccgpu::evidence {

struct SnpCertificate {
  std::string type;  // VCEK, VLEK, ASK, ARK
  Bytes der;
};

// The certificate table that configfs-tsm's auxblob carries (GHCB 4.1.8.1). Unknown GUIDs are kept with type = the
// GUID's text.
Result<std::vector<SnpCertificate>> ParseCertTable(ByteView table);
Bytes EncodeCertTable(const std::vector<SnpCertificate>& certificates);

// AMD's extensions (1.3.6.1.4.1.3704.1.*) of a VCEK or VLEK.
struct VcekExtensions {
  std::string product;                // "Milan-B0", "Genoa", "Turin"
  TcbParts tcb;                       // fmc set when the certificate has it
  std::optional<Bytes> hardware_id;   // VCEK: 64 bytes (Turin 8)
  std::optional<std::string> csp_id;  // VLEK
};
Result<VcekExtensions> ReadVcekExtensions(const crypto::Certificate& certificate);
// As extensions for crypto::CertificateSpec.
std::vector<crypto::CertificateSpec::Extra> MakeVcekExtensions(const VcekExtensions& facts);

// The evidence of one SNP sandbox.
struct SnpEvidence {
  Bytes report;  // the 1184 bytes
  std::vector<SnpCertificate> certificates;
};
// {"attestation_report":{...},"cert_chain":[{"cert_type":"VCEK","data":[ints]}]}
std::string SnpEvidenceToJson(const SnpEvidence& evidence);  // precondition: report parses
Result<SnpEvidence> SnpEvidenceFromJson(std::string_view json);

}  // namespace ccgpu::evidence
