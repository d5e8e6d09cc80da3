#include "cli/evidence/explain.h"

#include <algorithm>

#include "base/encoding.h"
#include "cli/evidence/measurements.h"

namespace ccgpu::cli {
namespace {

using Outcome = verify::Check::Outcome;

size_t CountOf(const verify::Verdict& verdict, Outcome outcome) {
  return static_cast<size_t>(std::count_if(verdict.checks.begin(), verdict.checks.end(),
                                           [&](const verify::Check& check) { return check.outcome == outcome; }));
}

// Long values are cut in the middle for people; --json has them whole.
std::string Short(const std::string& value) {
  return value.size() <= 100 ? value : value.substr(0, 64) + "..(" + std::to_string(value.size()) + " characters)";
}

std::string FinalLine(const Judgement& judgement) {
  const verify::Verdict& verdict = judgement.verdict;
  std::string out = verdict.accepted ? "accepted" : "refused";
  if (!verdict.environment.empty()) out += " (" + verdict.environment + ")";
  if (const FailureClass* failure = ClassOf(verdict))
    out += ": " + std::string(failure->word) + ", " + std::string(failure->means);
  return out;
}

}  // namespace

void PrintVerdict(std::ostream& out, const Judgement& judgement) {
  for (const verify::Check& check : judgement.verdict.checks) {
    switch (check.outcome) {
      case Outcome::kPassed: out << "  ok    " << check.name << "\n"; break;
      case Outcome::kNotApplicable: out << "  -     " << check.name << "  (" << check.reason.text << ")\n"; break;
      case Outcome::kFailed:
        out << "  FAIL  " << check.name << "  " << check.reason.text << " [" << check.reason.code << "]\n";
        if (!check.expected.empty())
          out << "          expected " << check.expected << "\n          found    " << check.found << "\n";
        if (!check.document.empty())
          out << "          in       " << check.document
              << (check.length ? " at byte " + std::to_string(check.offset) : "") << "\n";
        break;
    }
  }
  out << FinalLine(judgement) << "\n";
}

std::string VerdictJson(const Judgement& judgement, const Format& format) {
  OrderedJson out = OrderedJson::parse(judgement.verdict.ToJson());
  out["format"] = format.name;
  if (const FailureClass* failure = ClassOf(judgement.verdict))
    out["failure"] = {{"class", failure->word}, {"exit_code", failure->exit_code}, {"means", failure->means}};
  out["warnings"] = judgement.warnings;
  return out.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string HexExcerpt(ByteView document, size_t offset, size_t length) {
  if (length == 0 || offset >= document.size()) return "";
  const size_t end = std::min(document.size(), offset + std::min<size_t>(length, 48));
  std::string out;
  for (size_t row = offset / 16 * 16; row < end; row += 16) {
    char at[24];
    std::snprintf(at, sizeof at, "%08zx", row);
    out += at;
    for (size_t i = row; i < row + 16 && i < document.size(); ++i) {
      out += i == offset ? '[' : i == offset + length && i > row ? ']' : ' ';
      out += HexEncode(document.subspan(i, 1));
    }
    if (offset + length == std::min(row + 16, document.size())) out += ']';
    out += "\n";
  }
  if (offset + length > end) out += "         .. " + std::to_string(offset + length - end) + " more bytes are meant\n";
  return out;
}

std::vector<Explanation> ExplainFailures(const EvidenceCase& evidence, const Judgement& judgement) {
  std::vector<Explanation> out;
  for (const verify::Check& check : judgement.verdict.checks) {
    if (check.outcome != Outcome::kFailed) continue;
    Explanation one;
    one.check = check;
    one.failure_class = ClassOf(check.reason.code).word;
    const ReasonText text = TextOf(check.reason.code);
    one.meaning = text.meaning;
    one.remedy = text.remedy;
    if (!check.document.empty()) {
      one.where = check.document;
      if (check.length)
        one.where += ", bytes " + std::to_string(check.offset) + " to " +
                     std::to_string(check.offset + check.length - 1) + " (0x" +
                     [&] {
                       char hex[20];
                       std::snprintf(hex, sizeof hex, "%zx", check.offset);
                       return std::string(hex);
                     }() +
                     ", length " + std::to_string(check.length) + ")";
      if (const auto document = judgement.documents.find(check.document); document != judgement.documents.end())
        one.excerpt = HexExcerpt(document->second, check.offset, check.length);
    }
    AddDetails(evidence, judgement, one);
    out.push_back(std::move(one));
  }
  return out;
}

void PrintExplanations(std::ostream& out, const EvidenceCase& evidence, const Judgement& judgement) {
  const verify::Verdict& verdict = judgement.verdict;
  out << FinalLine(judgement) << "\n"
      << "This is " << evidence.format->what << ": " << CountOf(verdict, Outcome::kPassed) << " checks passed, "
      << CountOf(verdict, Outcome::kFailed) << " failed, " << CountOf(verdict, Outcome::kNotApplicable)
      << " did not apply.\n";
  size_t number = 0;
  for (const Explanation& one : ExplainFailures(evidence, judgement)) {
    out << "\n"
        << ++number << ". " << one.check.name << " [" << one.check.reason.code << ", class " << one.failure_class
        << "]\n   " << one.check.reason.text << "\n";
    if (!one.meaning.empty() && one.meaning != one.check.reason.text) out << "   means     " << one.meaning << "\n";
    if (!one.check.claim.empty()) out << "   claim     " << one.check.claim << "\n";
    if (!one.check.expected.empty() || !one.check.found.empty())
      out << "   expected  " << Short(one.check.expected) << "\n   found     " << Short(one.check.found) << "\n";
    if (!one.where.empty()) out << "   where     " << one.where << "\n";
    std::string_view rows = one.excerpt;
    while (!rows.empty()) {
      const size_t end = rows.find('\n');
      out << "             " << rows.substr(0, end) << "\n";
      rows.remove_prefix(std::min(rows.size(), end + 1));
    }
    for (const std::string& detail : one.details) out << "   - " << detail << "\n";
    if (!one.remedy.empty()) out << "   to do     " << one.remedy << "\n";
  }
  // What was skipped behind a failure says so itself; what never applied is worth a line.
  for (const verify::Check& check : verdict.checks) {
    if (check.outcome == Outcome::kNotApplicable && verdict.accepted)
      out << "   not judged: " << check.name << " (" << check.reason.text << ")\n";
  }
}

OrderedJson ExplanationsJson(const EvidenceCase& evidence, const Judgement& judgement) {
  OrderedJson out = OrderedJson::parse(VerdictJson(judgement, *evidence.format));
  out["explanations"] = OrderedJson::array();
  for (const Explanation& one : ExplainFailures(evidence, judgement)) {
    out["explanations"].push_back({{"check", one.check.name},
                                   {"reason", one.check.reason.code},
                                   {"class", one.failure_class},
                                   {"text", one.check.reason.text},
                                   {"means", one.meaning},
                                   {"claim", one.check.claim},
                                   {"expected", one.check.expected},
                                   {"found", one.check.found},
                                   {"document", one.check.document},
                                   {"offset", one.check.offset},
                                   {"length", one.check.length},
                                   {"excerpt", one.excerpt},
                                   {"details", one.details},
                                   {"to_do", one.remedy}});
  }
  return out;
}

}  // namespace ccgpu::cli
