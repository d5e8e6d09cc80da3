#include "gpu-emulator/services/pcs_routes.h"

#include <httplib.h>

#include "base/encoding.h"

namespace ccgpu::emulator {
namespace {

using httplib::Request;
using httplib::Response;

constexpr char kJson[] = "application/json";

std::string UrlEncode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[static_cast<unsigned char>(c) & 15]};
    }
  }
  return out;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string CrlPem(ByteView der) {
  const std::string base64 = Base64Encode(der);
  std::string out = "-----BEGIN X509 CRL-----\n";
  for (size_t at = 0; at < base64.size(); at += 64) out += base64.substr(at, 64) + "\n";
  return out + "-----END X509 CRL-----\n";
}

}  // namespace

void AddPcsRoutes(httplib::Server& server, const PcsDocuments& documents) {
  server.Get("/tdx/certification/v4/tcb", [&documents](const Request& request, Response& response) {
    const auto fmspc = HexDecode(request.get_param_value("fmspc"));
    if (!fmspc.ok() || fmspc->size() != 6) {
      response.status = 400;
      return;
    }
    if (*fmspc != documents.identity().facts.fmspc) {
      response.status = 404;
      return;
    }
    response.set_header("TCB-Info-Issuer-Chain", UrlEncode(documents.identity().TcbIssuerChain()));
    response.set_content(documents.TcbInfo(), kJson);
  });
  server.Get("/tdx/certification/v4/qe/identity", [&documents](const Request&, Response& response) {
    response.set_header("SGX-Enclave-Identity-Issuer-Chain", UrlEncode(documents.identity().TcbIssuerChain()));
    response.set_content(documents.QeIdentity(), kJson);
  });
  server.Get("/sgx/certification/v4/pckcrl", [&documents](const Request& request, Response& response) {
    // The emulated platform's certificate comes from the platform CA; there is no processor CA.
    if (Lower(request.get_param_value("ca")) != "platform") {
      response.status = 400;
      return;
    }
    const Bytes der = documents.PckCrl();
    response.set_header("SGX-PCK-CRL-Issuer-Chain", UrlEncode(documents.identity().CrlIssuerChain()));
    if (Lower(request.get_param_value("encoding")) == "der") response.set_content(ToText(der), "application/pkix-crl");
    else response.set_content(CrlPem(der), "application/x-pem-file");
  });
  server.Get("/sgx/certification/v4/rootcacrl", [&documents](const Request&, Response& response) {
    response.set_content(HexEncode(documents.RootCrl()), "text/plain");
  });
  server.Get("/IntelSGXRootCA.der", [&documents](const Request&, Response& response) {
    response.set_content(ToText(documents.RootCrl()), "application/pkix-crl");
  });
}

}  // namespace ccgpu::emulator
