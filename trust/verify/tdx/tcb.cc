#include "trust/verify/tdx/tcb.h"

#include <algorithm>
#include <cctype>

namespace ccgpu::verify {
namespace {

using evidence::TcbStatus;

constexpr size_t kSvnPart = 0, kVersionPart = 1;  // of TEE_TCB_SVN: the module's SVN and its major version

bool IsOutOfDate(TcbStatus s) { return s == TcbStatus::kOutOfDate || s == TcbStatus::kOutOfDateConfigurationNeeded; }
bool NeedsConfiguration(TcbStatus s) {
  return s == TcbStatus::kConfigurationNeeded || s == TcbStatus::kConfigurationAndSwHardeningNeeded ||
         s == TcbStatus::kOutOfDateConfigurationNeeded;
}
bool NeedsHardening(TcbStatus s) {
  return s == TcbStatus::kSwHardeningNeeded || s == TcbStatus::kConfigurationAndSwHardeningNeeded;
}

}  // namespace

const evidence::PlatformTcbLevel* PlatformLevel(const evidence::TcbInfo& info, const evidence::PckExtensions& pck,
                                                ByteView tee_tcb_svn) {
  // A module with a version of its own is judged by its identity; the first two components are then not the platform's.
  const size_t first = tee_tcb_svn[kVersionPart] > 0 ? 2 : 0;
  for (const evidence::PlatformTcbLevel& level : info.levels) {
    bool reached = pck.pce_svn >= level.pce_svn;
    for (size_t i = 0; i < 16; ++i) reached = reached && pck.components[i] >= level.sgx[i];
    for (size_t i = first; i < 16; ++i) reached = reached && tee_tcb_svn[i] >= level.tdx[i];
    if (reached) return &level;
  }
  return nullptr;
}

const evidence::EnclaveTcbLevel* EnclaveLevel(const std::vector<evidence::EnclaveTcbLevel>& levels, uint16_t isv_svn) {
  for (const evidence::EnclaveTcbLevel& level : levels) {
    if (isv_svn >= level.isv_svn) return &level;
  }
  return nullptr;
}

std::string ModuleId(ByteView tee_tcb_svn) {
  const uint8_t version = tee_tcb_svn[kVersionPart];
  if (version == 0) return "";
  static constexpr char kDigits[] = "0123456789abcdef";
  return std::string("TDX_") + kDigits[version >> 4] + kDigits[version & 15];
}

const evidence::TdxModuleIdentity* ModuleIdentity(const evidence::TcbInfo& info, ByteView tee_tcb_svn) {
  const std::string id = ModuleId(tee_tcb_svn);
  if (id.empty()) return &info.module;
  for (const evidence::TdxModuleIdentity& module : info.modules) {
    // Digits of either case: "TDX_0a" and "TDX_0A" are the same version.
    const bool same = std::equal(module.id.begin(), module.id.end(), id.begin(), id.end(), [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    });
    if (same) return &module;
  }
  return nullptr;
}

TcbStatus WorseTcb(TcbStatus a, TcbStatus b) {
  if (a == TcbStatus::kRevoked || b == TcbStatus::kRevoked) return TcbStatus::kRevoked;
  const bool configuration = NeedsConfiguration(a) || NeedsConfiguration(b);
  if (IsOutOfDate(a) || IsOutOfDate(b))
    return configuration ? TcbStatus::kOutOfDateConfigurationNeeded : TcbStatus::kOutOfDate;
  const bool hardening = NeedsHardening(a) || NeedsHardening(b);
  if (configuration) return hardening ? TcbStatus::kConfigurationAndSwHardeningNeeded : TcbStatus::kConfigurationNeeded;
  return hardening ? TcbStatus::kSwHardeningNeeded : TcbStatus::kUpToDate;
}

Result<TcbStanding> EvaluateTcb(const evidence::TcbInfo& info, const evidence::QeIdentity& identity,
                                const evidence::PckExtensions& pck, ByteView tee_tcb_svn, uint16_t qe_svn) {
  if (tee_tcb_svn.size() != 16) return Err("tdx.tcb-unsupported", "", "TEE_TCB_SVN does not have 16 parts");
  const evidence::PlatformTcbLevel* platform = PlatformLevel(info, pck, tee_tcb_svn);
  if (!platform) return Err("tdx.tcb-unsupported", "", "the platform is below every TCB level that Intel lists");
  const evidence::EnclaveTcbLevel* qe = EnclaveLevel(identity.levels, qe_svn);
  if (!qe) return Err("tdx.tcb-unsupported", "", "the quoting enclave is below every TCB level that Intel lists");
  TcbStanding out;
  out.platform = platform->verdict;
  out.qe = qe->verdict;
  out.module_id = ModuleId(tee_tcb_svn);
  out.status = WorseTcb(out.platform.status, out.qe.status);
  out.advisories = out.platform.advisories;
  out.advisories.insert(out.advisories.end(), out.qe.advisories.begin(), out.qe.advisories.end());
  if (!out.module_id.empty()) {
    const evidence::TdxModuleIdentity* module = ModuleIdentity(info, tee_tcb_svn);
    if (!module) return Err("tdx.module-unknown", "", "the TCB info lists no TDX module " + out.module_id);
    const evidence::EnclaveTcbLevel* level = EnclaveLevel(module->levels, tee_tcb_svn[kSvnPart]);
    if (!level) return Err("tdx.tcb-unsupported", "", "the TDX module is below every TCB level that Intel lists");
    out.module = level->verdict;
    out.status = WorseTcb(out.status, level->verdict.status);
    out.advisories.insert(out.advisories.end(), level->verdict.advisories.begin(), level->verdict.advisories.end());
  }
  std::sort(out.advisories.begin(), out.advisories.end());
  out.advisories.erase(std::unique(out.advisories.begin(), out.advisories.end()), out.advisories.end());
  return out;
}

}  // namespace ccgpu::verify
