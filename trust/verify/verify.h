// Judging evidence. Each call is a pure function of its arguments: the same in broker, agent, CLI, replay and fuzzer.
//
// Algorithms, curves and roots come from the arguments and this library, never from the evidence. A Verdict starts as
// refused and is accepted only when every check of its list ran and none failed. Any thread; nothing is kept between
// calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/crypto/x509.h"
#include "trust/evidence/composite.h"
#include "trust/evidence/unverified.h"
#include "trust/verify/cache.h"
#include "trust/verify/snp/options.h"
#include "trust/verify/tdx/options.h"
#include "trust/verify/tpm/options.h"
#include "trust/verify/verdict.h"

namespace ccgpu::verify {

using evidence::Collateral;
struct References;  // corim.h

// Roots that evidence may end in. A root is *hardware* when its key is one of BuiltinAnchors(), *emulated* when its
// name says so ("EMULATED, NOT NVIDIA"); evidence under any other root is refused (environment.unknown-root).
struct Anchors {
  std::vector<crypto::Certificate> device_roots, rim_roots, amd_roots, intel_roots;
  bool insecure_accept_emulated = false;
  // Of TPMs' attestation keys. None is built in: who pins one says that it stands for real TPMs, unless it says
  // EMULATED.
  std::vector<crypto::Certificate> tpm_roots = {};
};
// NVIDIA's device and RIM roots, AMD's ARK of Milan, Genoa and Turin, Intel's SGX root (it signs TDX as well).
const Anchors& BuiltinAnchors();
// The intermediate AMD certificates (ASK, ASVK) of the same products, so that a report needs to bring its VCEK only.
const std::vector<crypto::Certificate>& BuiltinAmdIntermediates();
// Whether the root's names say that it is an emulator's.
bool SaysEmulated(const crypto::Certificate& root);

struct GpuOptions {
  Bytes nonce;  // 32 bytes, required: without it everything is refused (gpu.nonce-missing)
  bool allow_devtools =
      false;  // accept a device whose mode measurement is "devtools" (emulated devices only can say so)
  bool require_revocation = true;  // each CA-issued certificate needs a fresh OCSP response or CRL
  bool allow_hold = false;         // accept OCSP status revoked with reason certificateHold for RIM signers
  std::chrono::seconds revocation_max_age = std::chrono::hours(24);  // of thisUpdate, also when nextUpdate is later
  size_t max_report_padding = 0;                                     // zero bytes accepted after a report
  // Of a CRL's thisUpdate: lists are issued more seldom than OCSP answers. Its nextUpdate counts as well.
  std::chrono::seconds crl_max_age = std::chrono::hours(24 * 7);
  // Lowest driver, VBIOS and NVSwitch BIOS version accepted, compared part by part; empty: any that has a RIM.
  std::string driver_floor, vbios_floor, switch_bios_floor;
  // Opaque field -> lowest security version number (new opaque form; evidence::opaque_type::kFspUcodeSvn).
  std::map<uint16_t, uint64_t> minimum_svn;
  // Signed CoRIM reference values (corim.h) that the measurements must fit as well; nullptr: none.
  std::shared_ptr<const References> references = nullptr;
  // `references` instead of RIMs, which then need not be there; without references everything is refused.
  bool references_replace_rims = false;
};

// `cache`: what was learned about the same documents before, see cache.h; it never changes a verdict. May be nullptr.
Verdict VerifyGpu(const evidence::Unverified<evidence::GpuEvidence>& gpu, const Collateral& collateral,
                  const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache* cache = nullptr);

// One NVSwitch (LS10) under the same options. What it is connected to is judged by VerifyFabric (fabric.h).
Verdict VerifySwitch(const evidence::Unverified<evidence::GpuEvidence>& nvswitch, const Collateral& collateral,
                     const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache* cache = nullptr);

// SnpOptions: snp_options.h.
Verdict VerifySnp(const evidence::Unverified<evidence::SnpEvidence>& snp, const Collateral& collateral,
                  const Anchors& anchors, const SnpOptions& options, TimePoint now);

// TdxOptions: tdx_options.h. The collateral's TCB info, QE identity and both CRLs are needed.
Verdict VerifyTdx(const evidence::Unverified<evidence::TdxEvidence>& tdx, const Collateral& collateral,
                  const Anchors& anchors, const TdxOptions& options, TimePoint now, Cache* cache = nullptr);

// One pod. report_data and gpu.nonce are what the caller computed from challenge, key and additional evidence
// (trust/kbs): they tie GPUs, CPU, nonce and key together. With NVSwitches among its devices they must be one whole set
// in protected PCIe, as VerifyFabric (fabric.h) wants it; GPUs in that mode without their switches are refused.
struct CompositeOptions {
  // The same for every kind of CPU evidence; they replace what the kind's own options say.
  Bytes report_data;                      // 64 bytes, required
  std::optional<Bytes> init_data_digest;  // of the initdata document, under the document's own algorithm
  GpuOptions gpu;
  SnpOptions snp;
  TdxOptions tdx;
  TpmOptions tpm;                          // of Azure's vTPMs as well
  std::optional<size_t> gpu_count;         // exactly so many GPUs, switches not counted; unset: any number
  std::vector<std::string> allowed_ueids;  // device inventory, switches too; empty: any device
  unsigned threads = 0;                    // for judging devices; 0: one a core
};

Verdict VerifyComposite(const evidence::Unverified<evidence::CompositeEvidence>& composite,
                        const Collateral& collateral, const Anchors& anchors, const CompositeOptions& options,
                        TimePoint now, Cache* cache = nullptr);

}  // namespace ccgpu::verify
