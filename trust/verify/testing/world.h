// An emulated vendor for tests: keys, chains, reports, RIMs, OCSP answers, all healthy until a test changes something.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trust/evidence/crl.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {

using SpecEdit = std::function<void(crypto::CertificateSpec&)>;
// Level ("device0" leaf .. "device4" root, "rim0" .. "rim3", "snp0" VCEK .. "snp2" ARK, "ocsp") -> change of its
// certificate.
using SpecEdits = std::map<std::string, SpecEdit>;

struct Party {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};
std::vector<crypto::Certificate> CertificatesOf(const std::vector<Party>& leaf_first);

inline const TimePoint kTestNow = ParseTime("2026-06-01T12:00:00Z").value();

// A healthy H100 and everything needed to judge it.
struct GpuWorld {
  // Worlds with another `unit` are other devices of the same vendor: same roots, other device keys.
  explicit GpuWorld(const SpecEdits& edits = {}, const std::string& unit = "");

  std::vector<Party> device, rim;  // leaf first, root last
  Party ocsp;                      // issued by the device root
  Party rim_ocsp;                  // issued by the RIM root
  evidence::GpuReport report;      // unsigned
  evidence::Rim driver_spec, vbios_spec;
  Anchors anchors;
  GpuOptions options;
  TimePoint now = kTestNow;
  evidence::GpuEvidence evidence;  // what Sign made of `report`
  Collateral collateral;           // what Endorse made

  void Sign();     // report -> evidence
  void Endorse();  // RIM specs and chains -> collateral
  // Replaces the OCSP answers about this certificate ("device1", "rim0").
  void Answer(const std::string& level, const evidence::OcspAnswer& answer, TimePoint this_update = kTestNow,
              TimePoint next_update = kTestNow + std::chrono::hours(1));
  void DropOcsp() { collateral.ocsp_responses.clear(), answers_.clear(); }
  Verdict Run(Cache* cache = nullptr) const;
  Verdict RunSwitch(Cache* cache = nullptr) const;

 private:
  std::map<std::string, Bytes> answers_;
};

// A healthy sandbox.
struct SnpWorld {
  explicit SnpWorld(const SpecEdits& edits = {});

  std::vector<Party> chain;  // VCEK, ASK, ARK
  evidence::VcekExtensions facts;
  evidence::SnpReport report;
  Anchors anchors;
  SnpOptions options;
  TimePoint now = kTestNow;
  evidence::SnpEvidence evidence;
  Collateral collateral;

  void Sign();  // report and chain -> evidence
  Verdict Run() const;
};

std::string FirstCode(const Verdict& verdict);  // "" when nothing failed
// Of one check: "" when it did not fail, "no such check" when it is not in the list.
std::string CodeOf(const Verdict& verdict, const std::string& check);

}  // namespace ccgpu::verify
