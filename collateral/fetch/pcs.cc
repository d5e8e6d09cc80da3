#include "collateral/fetch/pcs.h"

#include "base/encoding.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"

namespace ccgpu::collateral {

Result<std::vector<PcsRequest>> PcsRequestsFor(const evidence::TdxEvidence& tdx, const std::string& pcs,
                                               const std::string& root_crl) {
  ASSIGN_OR_RETURN(const evidence::TdxQuote quote, evidence::ParseTdxQuote(tdx.quote));
  ASSIGN_OR_RETURN(const auto chain, crypto::Certificate::ListFromPem(quote.pck_chain, 3));
  ASSIGN_OR_RETURN(const auto pck, evidence::ReadPckExtensions(chain.front()));
  // Only six bytes as hexadecimal digits and one of two words go into the URLs: evidence cannot steer them elsewhere.
  const std::string fmspc = HexEncode(pck.fmspc);
  const bool processor = chain.front().IssuerCommonName() == "Intel SGX PCK Processor CA";
  const std::string base = pcs.ends_with('/') ? pcs.substr(0, pcs.size() - 1) : pcs;
  using Kind = PcsRequest::Kind;
  return std::vector<PcsRequest>{
      {Kind::kTcbInfo, base + "/tdx/certification/v4/tcb?fmspc=" + fmspc, "tcb-info-issuer-chain",
       "TCB info of " + fmspc},
      {Kind::kQeIdentity, base + "/tdx/certification/v4/qe/identity", "sgx-enclave-identity-issuer-chain",
       "QE identity"},
      {Kind::kPckCrl,
       base + "/sgx/certification/v4/pckcrl?ca=" + (processor ? "processor" : "platform") + "&encoding=der", "",
       "Intel's PCK revocation list"},
      {Kind::kRootCrl, root_crl, "", "Intel's root revocation list"},
  };
}

std::string IssuerChainOf(const PcsRequest& request, const FetchAnswer& answer) {
  const auto header = answer.headers.find(request.chain_header);
  return header == answer.headers.end() ? "" : UrlDecode(header->second);
}

Kind KindOf(PcsRequest::Kind kind) {
  switch (kind) {
    case PcsRequest::Kind::kTcbInfo: return Kind::kIntelTcbInfo;
    case PcsRequest::Kind::kQeIdentity: return Kind::kIntelQeIdentity;
    case PcsRequest::Kind::kPckCrl:
    case PcsRequest::Kind::kRootCrl: break;
  }
  return Kind::kCrl;
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

}  // namespace ccgpu::collateral
