// A verdict in words: for each failure what was checked, what was expected and found, where in which bytes, and what to
// do about it.
#pragma once

#include <ostream>

#include "cli/evidence/failure_class.h"
#include "cli/evidence/format.h"

namespace ccgpu::cli {

// One row a check, and the verdict with its class.
void PrintVerdict(std::ostream& out, const Judgement& judgement);
// Verdict::ToJson with "format", "failure" {"class","exit_code","means"} and "warnings".
std::string VerdictJson(const Judgement& judgement, const Format& format);

// A failure with all that is known about it.
struct Explanation {
  verify::Check check;
  std::string failure_class, meaning, remedy, where, excerpt;
  std::vector<std::string> details;  // measurements, RIMs, certificates
};
std::vector<Explanation> ExplainFailures(const EvidenceCase& evidence, const Judgement& judgement);
void PrintExplanations(std::ostream& out, const EvidenceCase& evidence, const Judgement& judgement);
OrderedJson ExplanationsJson(const EvidenceCase& evidence, const Judgement& judgement);

// Up to three rows of 16 bytes around [offset, offset + length), the bytes meant in brackets.
std::string HexExcerpt(ByteView document, size_t offset, size_t length);

}  // namespace ccgpu::cli
