// Intel's provisioning certification service (PCS v4): the documents that a TDX quote is judged by.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "collateral/document.h"
#include "collateral/fetch/fetcher.h"
#include "trust/evidence/tdx_evidence.h"

namespace ccgpu::collateral {

struct PcsRequest {
  enum class Kind { kTcbInfo, kQeIdentity, kPckCrl, kRootCrl };
  Kind kind;
  std::string url;
  std::string chain_header;  // where the issuer chain comes, URL-encoded, in lower case; empty: there is none
  std::string what;          // for people
};
// What this quote needs, in the order in which it is used. Errors: the quote's, its certificates' or their extension's
// parser's, for a quote that cannot be read. `pcs`: "https://host", `root_crl`: the whole URL of the root's list in
// DER.
Result<std::vector<PcsRequest>> PcsRequestsFor(const evidence::TdxEvidence& tdx, const std::string& pcs,
                                               const std::string& root_crl);
// The issuer chain in PEM that came with an answer; empty: none came.
std::string IssuerChainOf(const PcsRequest& request, const FetchAnswer& answer);
// What kind of document the answer is.
Kind KindOf(PcsRequest::Kind kind);
// Percent-decoding; a '%' without two digits stays.
std::string UrlDecode(std::string_view text);

}  // namespace ccgpu::collateral
