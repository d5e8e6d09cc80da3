// Intel's TCB evaluation: which level of the signed lists platform, TDX module and quoting enclave reach, and what the
// three say together (Intel TDX DCAP Quote Verification, PCS API v4 "Get TDX TCB Info"). Pure. Included by
// trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trust/evidence/intel_documents.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"

namespace ccgpu::verify {

struct TcbStanding {
  evidence::TcbVerdict platform, qe;
  std::optional<evidence::TcbVerdict> module;  // when TEE_TCB_SVN names a module version
  std::string module_id;                       // "TDX_01"
  evidence::TcbStatus status = evidence::TcbStatus::kRevoked;
  std::vector<std::string> advisories;  // of all three, sorted, each once
};

// The first level that the platform reaches; nullptr when it reaches none.
const evidence::PlatformTcbLevel* PlatformLevel(const evidence::TcbInfo& info, const evidence::PckExtensions& pck,
                                                ByteView tee_tcb_svn);
const evidence::EnclaveTcbLevel* EnclaveLevel(const std::vector<evidence::EnclaveTcbLevel>& levels, uint16_t isv_svn);

// Which module identity speaks for this TEE_TCB_SVN: the one listed for its major version, or the platform's default
// (id "") for version 0. nullptr when none is listed.
const evidence::TdxModuleIdentity* ModuleIdentity(const evidence::TcbInfo& info, ByteView tee_tcb_svn);
std::string ModuleId(ByteView tee_tcb_svn);  // "TDX_01"; "" for version 0

// Errors: tdx.tcb-unsupported when one of the three reaches no level, tdx.module-unknown.
Result<TcbStanding> EvaluateTcb(const evidence::TcbInfo& info, const evidence::QeIdentity& identity,
                                const evidence::PckExtensions& pck, ByteView tee_tcb_svn, uint16_t qe_svn);
// What a status becomes when another part has this one.
evidence::TcbStatus WorseTcb(evidence::TcbStatus a, evidence::TcbStatus b);

}  // namespace ccgpu::verify
