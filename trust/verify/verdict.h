// What a verification says: accepted or refused, the named checks in their order, and the claims.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "trust/evidence/unverified.h"

namespace ccgpu::verify {

// One named check. The failure says what was expected and found, and where: `document` ("gpu0/report", "rim/<id>",
// "snp/report"), byte offset and length in it (0, 0 where a position makes no sense).
struct Check {
  enum class Outcome { kPassed, kFailed, kNotApplicable };
  std::string name;  // "gpu0.report.nonce"
  Outcome outcome = Outcome::kFailed;
  Error reason;  // when failed: reason code, subject, text. When not applicable: text says why
  std::string claim, expected, found, document;
  size_t offset = 0, length = 0;
};

// Facts about one accepted GPU or NVSwitch that code (not only people) needs.
struct GpuFacts {
  std::string uuid, ueid, pdi, hwmodel, driver_version, vbios_version;
};

// Facts about the CPU side.
struct CpuFacts {
  std::string tee;          // "snp"; empty when there was no CPU evidence
  std::string measurement;  // hex: launch digest (SNP)
  std::string init_data;    // hex: the field that holds the initdata document's digest (SNP: HOST_DATA)
};

// What an accepted verification established. Exists only as evidence::Verified<Claims>.
struct Claims {
  std::string json;         // the same object as Verdict::claims_json
  std::string environment;  // hardware | emulated
  std::vector<GpuFacts> gpus;
  CpuFacts cpu;
  std::vector<GpuFacts> switches = {};  // without driver; the BIOS as vbios_version
};

struct Verdict {
  bool accepted = false;
  std::vector<Check> checks;
  std::string claims_json = "{}";  // what the evidence says, also when refused: never decide by it alone
  std::string environment;         // hardware | emulated; empty when no known root was reached
  std::optional<evidence::Verified<Claims>> verified;  // set exactly when accepted

  const Check* FirstFailure() const;  // nullptr when there is none
  Status ToStatus() const;            // Ok when accepted; else the first failure's error, subject = the check's name
  // {"verdict":"accepted"|"refused","environment":..,"checks":[{"name","result":"passed"|"failed"|"not-applicable","reason",
  //  "text","claim","expected","found","document","offset","length"}],"claims":{..}}
  std::string ToJson() const;
  std::string FailedChecksJson() const;  // the failed ones of its "checks"
};

}  // namespace ccgpu::verify
