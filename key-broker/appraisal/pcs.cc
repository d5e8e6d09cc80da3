#include "key-broker/appraisal/pcs.h"

#include "base/encoding.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"

namespace ccgpu::broker {

std::vector<PcsRequest> PcsRequestsFor(const evidence::TdxEvidence& tdx, const std::string& pcs,
                                       const std::string& root_crl) {
  const auto quote = evidence::ParseTdxQuote(tdx.quote);
  if (!quote.ok()) return {};
  const auto chain = crypto::Certificate::ListFromPem(quote->pck_chain, 3);
  if (!chain.ok()) return {};
  const auto pck = evidence::ReadPckExtensions(chain->front());
  if (!pck.ok()) return {};
  // Only six bytes as hexadecimal digits and one of two words go into the URLs: evidence cannot steer them elsewhere.
  const bool processor = chain->front().IssuerCommonName() == "Intel SGX PCK Processor CA";
  const std::string base = pcs.ends_with('/') ? pcs.substr(0, pcs.size() - 1) : pcs;
  using Kind = PcsRequest::Kind;
  return {
      {base + "/tdx/certification/v4/tcb?fmspc=" + HexEncode(pck->fmspc), "TCB-Info-Issuer-Chain", Kind::kTcbInfo},
      {base + "/tdx/certification/v4/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", Kind::kQeIdentity},
      {base + "/sgx/certification/v4/pckcrl?ca=" + (processor ? "processor" : "platform") + "&encoding=der", "",
       Kind::kCrl},
      {root_crl, "", Kind::kCrl},
  };
}

std::string UrlDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i > 2) {
      if (const auto byte = HexDecode(text.substr(i + 1, 2)); byte.ok()) {
        out += static_cast<char>((*byte)[0]);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace ccgpu::broker
