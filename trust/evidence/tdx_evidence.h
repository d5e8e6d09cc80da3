// The evidence of one TDX sandbox, and CoCo's JSON of it.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"

namespace ccgpu::evidence {

struct TdxEvidence {
  Bytes quote;                     // version 4 or 5; what follows the quote proper is ignored
  std::optional<Bytes> event_log;  // the CCEL table's log (TCG crypto-agile); replayed against the RTMRs when there
};

// {"cc_eventlog":b64|null,"quote":b64}
std::string TdxEvidenceToJson(const TdxEvidence& evidence);
Result<TdxEvidence> TdxEvidenceFromJson(std::string_view json);

}  // namespace ccgpu::evidence
