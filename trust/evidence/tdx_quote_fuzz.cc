// Quotes, QE reports, CoCo's JSON of TDX evidence.
#include <cstdlib>

#include "trust/evidence/tdx_evidence.h"
#include "trust/evidence/tdx_quote.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView bytes(data, size);
  (void)evidence::ParseTdxHeader(bytes);
  if (const auto quote = evidence::ParseTdxQuote(bytes); quote.ok()) {
    if (!Equal(evidence::EncodeTdxQuote(*quote), bytes.first(quote->size))) std::abort();
  }
  if (const auto qe = evidence::ParseQeReport(bytes); qe.ok()) {
    if (!Equal(evidence::EncodeQeReport(*qe), bytes)) std::abort();
  }
  if (const auto parsed = evidence::TdxEvidenceFromJson(AsText(bytes)); parsed.ok()) {
    const auto again = evidence::TdxEvidenceFromJson(evidence::TdxEvidenceToJson(*parsed));
    if (!again.ok() || again->quote != parsed->quote || again->event_log != parsed->event_log) std::abort();
  }
  return 0;
}
