// What a verifier may ask of a TDX quote. Defaults are strict; what they leave out is asked for only when set.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "trust/evidence/intel_documents.h"

namespace ccgpu::verify {

struct References;  // corim.h

struct TdxOptions {
  Bytes report_data;                               // 64 bytes, required (tdx.report-data-missing)
  std::optional<Bytes> mr_config_id;               // 48 bytes: digest of the initdata document, cut or filled
  std::optional<Bytes> mr_td;                      // 48 bytes: what the guest was built from
  std::array<std::optional<Bytes>, 4> rtmrs;       // 48 bytes each: what it measured since
  std::optional<Bytes> mr_seam;                    // 48 bytes: one TDX module
  std::optional<Bytes> mr_owner, mr_owner_config;  // 48 bytes
  bool allow_debug = false;                        // TDATTRIBUTES.DEBUG; a debug quoting enclave is never accepted
  bool require_sept_ve_disable = true;             // else the host can inject #VE on the guest's own memory
  bool allow_perfmon = false;                      // TDATTRIBUTES.PERFMON: counters that the host shares
  bool allow_service_td = false;  // MRSERVICETD not zero: a service TD (migration) is bound to the guest
  std::set<evidence::TcbStatus> accepted_statuses = {evidence::TcbStatus::kUpToDate};
  uint32_t minimum_evaluation_number = 0;    // of TCB info and QE identity: collateral is not rolled back
  std::optional<Bytes> minimum_tee_tcb_svn;  // 16 bytes, part by part
  std::optional<Bytes> platform_instance;    // 16 bytes: pin one machine
  // Signed CoRIM reference values (corim.h) that the measurements must fit as well; nullptr: none.
  std::shared_ptr<const References> references = nullptr;
  bool require_revocation = true;                                          // both CRLs, fresh, in the collateral
  std::chrono::seconds revocation_max_age = std::chrono::hours(24 * 366);  // the root's list is issued yearly
};

}  // namespace ccgpu::verify
