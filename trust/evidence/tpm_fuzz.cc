#include <cstdlib>

#include "trust/evidence/tpm_evidence.h"
#include "trust/evidence/tpm_quote.h"

// Quotes, signatures, public areas and the JSON around them: what is parsed is encoded as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView bytes(data, size);
  if (const auto quote = evidence::ParseTpmQuote(bytes); quote.ok() && quote->IsQuote()) {
    if (!Equal(evidence::EncodeTpmQuote(*quote), bytes)) std::abort();
    for (const auto& selection : quote->selections) (void)selection.Indices();
  }
  if (const auto signature = evidence::ParseTpmSignature(bytes); signature.ok()) {
    if (!Equal(evidence::EncodeTpmSignature(*signature), bytes)) std::abort();
  }
  if (const auto area = evidence::ParseTpmPublic(bytes); area.ok()) {
    const Bytes again = evidence::EncodeTpmPublic(*area);
    if (!Equal(again, bytes) && !Equal(again, bytes.subspan(2))) std::abort();
    (void)area->Key();
  }
  if (const auto evidence = evidence::TpmEvidenceFromJson(AsText(bytes)); evidence.ok()) {
    const auto again = evidence::TpmEvidenceFromJson(evidence::TpmEvidenceToJson(*evidence));
    if (!again.ok() || again->quote != evidence->quote || again->pcrs != evidence->pcrs) std::abort();
  }
  return 0;
}
