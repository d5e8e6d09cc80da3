// Intel's provisioning certification service (PCS v4): the documents that a TDX quote is judged by.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trust/evidence/tdx_evidence.h"

namespace ccgpu::broker {

struct PcsRequest {
  std::string url;
  std::string chain_header;  // where the issuer chain comes, URL-encoded; empty: there is none
  enum class Kind { kTcbInfo, kQeIdentity, kCrl } kind = Kind::kCrl;
};
// What this quote needs, in the order in which it is used; nothing for a quote that cannot be read (the verification
// says what is wrong with it). `pcs`: "https://host", `root_crl`: the whole URL of the root's list in DER.
std::vector<PcsRequest> PcsRequestsFor(const evidence::TdxEvidence& tdx, const std::string& pcs,
                                       const std::string& root_crl);
// Percent-decoding; a '%' without two digits stays.
std::string UrlDecode(std::string_view text);

}  // namespace ccgpu::broker
