// Intel's PCS v4 and PCCS routes, in their own shapes:
//   GET /tdx/certification/v4/tcb?fmspc=<12 hex>            header TCB-Info-Issuer-Chain
//   GET /tdx/certification/v4/qe/identity                   header SGX-Enclave-Identity-Issuer-Chain
//   GET /sgx/certification/v4/pckcrl?ca=platform[&encoding=der]   header SGX-PCK-CRL-Issuer-Chain; PEM without encoding
//   GET /sgx/certification/v4/rootcacrl                     hexadecimal DER, as PCCS gives it
//   GET /IntelSGXRootCA.der                                 DER, as Intel's certificate host gives it
// Issuer chains are PEM, URL-encoded. An FMSPC of another platform is 404, a bad parameter 400, both without a body.
#pragma once

#include "gpu-emulator/services/pcs_documents.h"

namespace httplib {
class Server;
}

namespace ccgpu::emulator {

// `documents` must outlive the server.
void AddPcsRoutes(httplib::Server& server, const PcsDocuments& documents);

}  // namespace ccgpu::emulator
