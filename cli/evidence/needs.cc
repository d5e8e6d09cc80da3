#include "cli/evidence/needs.h"

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "cli/evidence/cpu_parts.h"
#include "cli/evidence/gpu_parts.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"

namespace ccgpu::cli {
namespace {

// Whether a document speaks about this certificate; its authenticity is the verifier's question.
class Statements {
 public:
  explicit Statements(const evidence::Collateral& collateral) {
    for (const Bytes& der : collateral.ocsp_responses) {
      if (auto parsed = evidence::ParseOcspResponse(der); parsed.ok()) responses_.push_back(std::move(*parsed));
    }
    for (const Bytes& der : collateral.crls) {
      if (auto parsed = evidence::ParseCrl(der); parsed.ok()) crls_.push_back(std::move(*parsed));
    }
  }
  bool About(const crypto::Certificate& subject, const crypto::Certificate& issuer) const {
    for (const auto& response : responses_) {
      for (const auto& single : response.singles) {
        if (single.IsAbout(subject, issuer)) return true;
      }
    }
    return std::any_of(crls_.begin(), crls_.end(),
                       [&](const evidence::Crl& crl) { return crl.issuer_name == issuer.SubjectName(); });
  }

 private:
  std::vector<evidence::OcspResponse> responses_;
  std::vector<evidence::Crl> crls_;
};

void AddChain(const std::vector<crypto::Certificate>& chain, size_t first, const Statements& statements,
              const std::string& places, std::set<std::string>& said, std::vector<Missing>& out) {
  for (size_t i = first; i + 1 < chain.size(); ++i) {
    if (statements.About(chain[i], chain[i + 1])) continue;
    const std::string what = "revocation of " + chain[i].SubjectName();
    if (!said.insert(what).second) continue;
    out.push_back({what, what + " (serial " + HexEncode(chain[i].SerialNumber()) +
                             "): no OCSP answer and no CRL of \"" + chain[i + 1].SubjectCommonName() + "\" in " +
                             places});
  }
}

}  // namespace

Result<Needs> NeedsOf(const EvidenceCase& evidence) {
  Needs out;
  if (evidence.format->parts) RETURN_IF_ERROR(evidence.format->parts(evidence, out));
  return out;
}

std::vector<Missing> MissingFor(const EvidenceCase& evidence, const Needs& needs) {
  const evidence::Collateral collateral = CollateralOf(evidence, needs.brought, needs.gpus);
  const Statements statements(collateral);
  std::string places = "the evidence";
  for (const std::string& source : evidence.sources) places += ", " + source;
  std::vector<Missing> out;
  std::set<std::string> said;
  for (const evidence::GpuEvidence& gpu : needs.gpus) {
    if (auto chain = crypto::Certificate::ListFromPem(gpu.certificate_chain); chain.ok())
      AddChain(*chain, 1, statements, places, said, out);
    for (const std::string& id : RimIdsOf(gpu)) {
      const auto rim = collateral.rims.find(id);
      if (rim != collateral.rims.end()) {
        if (auto parsed = evidence::ParseRim(rim->second); parsed.ok())
          AddChain(parsed->chain, 0, statements, places, said, out);
        continue;
      }
      if (!said.insert(id).second) continue;
      std::string there;
      for (const auto& [other, xml] : collateral.rims) there += (there.empty() ? "" : ", ") + other;
      out.push_back({id, "RIM " + id + " not found: looked in " + places + "; there is " +
                             (there.empty() ? "no RIM at all" : there)});
    }
  }
  for (const evidence::SnpEvidence& snp : needs.snps) {
    const auto has = [&](const char* type) {
      const auto is = [&](const evidence::SnpCertificate& one) { return one.type == type; };
      const auto more = collateral::AmdCertificates(evidence.documents);
      return std::any_of(snp.certificates.begin(), snp.certificates.end(), is) ||
             std::any_of(more.begin(), more.end(), is);
    };
    if (!has("VCEK") && !has("VLEK"))
      out.push_back({"VCEK", "the chip's certificate (VCEK or VLEK): not with the report and not in " + places});
  }
  if (!needs.tdxs.empty()) {
    for (const auto& [empty, what] :
         {std::pair(collateral.tcb_infos.empty(), "Intel's TCB info"),
          std::pair(collateral.qe_identities.empty(), "Intel's QE identity"),
          std::pair(collateral.crls.size() < 2, "Intel's two revocation lists (root CA, PCK CA)")}) {
      if (empty) out.push_back({what, std::string(what) + ": not in " + places});
    }
  }
  return out;
}

}  // namespace ccgpu::cli
