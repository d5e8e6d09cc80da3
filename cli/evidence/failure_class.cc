#include "cli/evidence/failure_class.h"

#include <algorithm>
#include <map>

namespace ccgpu::cli {

extern const char kReasonTexts[];  // docs/reason-codes/*.md, made by the build

namespace {

enum Row {
  kSignature,
  kFreshness,
  kRevoked,
  kMeasurement,
  kTcb,
  kMode,
  kCollateral,
  kBinding,
  kEnvironment,
  kPolicy,
  kForm
};

// The first word that a reason code holds decides; what holds none is about signatures and chains.
struct Rule {
  std::string_view word;
  Row row;
};
constexpr Rule kRules[] = {
    {"environment.", kEnvironment},
    {"ampere-hardware", kEnvironment},
    {"policy.", kPolicy},
    {"nonce", kFreshness},
    {"report-data", kFreshness},
    {"token.expired", kFreshness},
    {"corim.expired", kFreshness},
    {"not-yet", kFreshness},
    {"collateral-signature", kSignature},
    {"rolled-back", kTcb},
    {"rollback", kTcb},
    {"issuer-missing", kSignature},
    {"topology", kBinding},
    {"missing-link", kBinding},
    {"bank-missing", kMeasurement},
    {"log-missing", kMeasurement},
    {"revocation-missing", kCollateral},
    {"revocation-stale", kCollateral},
    {"collateral", kCollateral},
    {"rim.not-found", kCollateral},
    {"-missing", kCollateral},
    {"revoked", kRevoked},
    {"revocation", kRevoked},
    {"malformed", kForm},
    {"unknown-arch", kForm},
    {"unknown-tee", kForm},
    {"unknown-device", kForm},
    {"quote-version", kForm},
    {"unsupported-format", kForm},
    {"mixed-modes", kMode},
    {"fabric.mode", kMode},
    {"composite.", kBinding},
    {"fabric.", kBinding},
    {"binding", kBinding},
    {"init-data", kBinding},
    {"host-data", kBinding},
    {"config-id", kBinding},
    {"owner-mismatch", kBinding},
    {"platform-mismatch", kBinding},
    {"chip-id", kBinding},
    {"pdi-mismatch", kBinding},
    {"guest-id", kBinding},
    {"audience", kBinding},
    {"runtime-mismatch", kBinding},
    {"user-data", kBinding},
    {"digest-mismatch", kBinding},
    {"token.devices", kBinding},
    {"mode", kMode},
    {"debug", kMode},
    {"vmpl", kMode},
    {"migration", kMode},
    {"smt", kMode},
    {"policy-bits", kMode},
    {"platform-bits", kMode},
    {"tdx.attributes", kMode},
    {"sept-ve", kMode},
    {"service-td", kMode},
    {"xfam", kMode},
    {"secure-boot", kMode},
    {"tcb", kTcb},
    {"-floor", kTcb},
    {"-abi", kTcb},
    {"firmware", kTcb},
    {"mitigations", kTcb},
    {"guest-svn", kTcb},
    {"alias", kTcb},
    {"evaluation", kTcb},
    {"measurement", kMeasurement},
    {"version-mismatch", kMeasurement},
    {"index-conflict", kMeasurement},
    {"opaque-record", kMeasurement},
    {"fwid", kMeasurement},
    {"nvdec", kMeasurement},
    {"rim.empty", kMeasurement},
    {"no-values", kMeasurement},
    {"mrseam", kMeasurement},
    {"module-", kMeasurement},
    {"pcr", kMeasurement},
    {"rtmr", kMeasurement},
    {"mrtd", kMeasurement},
    {"event-log", kMeasurement},
    {"log-mismatch", kMeasurement},
};

std::string Trim(std::string text) {
  text.erase(0, text.find_first_not_of(" \t"));
  text.erase(text.find_last_not_of(" \t\r") + 1);
  return text;
}

std::map<std::string, ReasonText, std::less<>> ReadTexts() {
  std::map<std::string, ReasonText, std::less<>> out;
  std::string_view all = kReasonTexts;
  while (!all.empty()) {
    const std::string_view line = all.substr(0, all.find('\n'));
    all.remove_prefix(std::min(all.size(), line.size() + 1));
    if (!line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    size_t at = 1;
    while (at < line.size()) {
      size_t end = at;
      while (end < line.size() && (line[end] != '|' || line[end - 1] == '\\')) ++end;
      cells.push_back(Trim(std::string(line.substr(at, end - at))));
      at = end + 1;
    }
    if (cells.size() >= 3 && cells[0].find('.') != std::string::npos) out[cells[0]] = {cells[1], cells[2]};
  }
  return out;
}

}  // namespace

const std::vector<FailureClass>& FailureClasses() {
  static const std::vector<FailureClass> rows = {
      {10, "signature", "a signature, certificate chain or root does not hold"},
      {11, "freshness", "it answers another nonce, or is too old"},
      {12, "revoked", "a certificate is revoked, or its issuer does not know it"},
      {13, "measurement", "firmware or configuration is not what the reference values say"},
      {14, "tcb", "a version is older than accepted, or known to be vulnerable"},
      {15, "mode", "debugging is possible, or the protection mode is not the wanted one"},
      {16, "collateral", "a reference manifest, certificate or fresh revocation statement is missing"},
      {17, "binding", "the parts do not belong together, or not to this pod, key or inventory"},
      {18, "environment", "an emulator's evidence, or a root that is no vendor's"},
      {19, "policy", "genuine, but the policy file asks for something else"},
      {20, "form", "a document inside the evidence is not in its format"},
  };
  return rows;
}

const FailureClass& ClassOf(std::string_view code) {
  for (const Rule& rule : kRules) {
    if (code.find(rule.word) != std::string_view::npos) return FailureClasses()[rule.row];
  }
  return FailureClasses()[kSignature];
}

const FailureClass* ClassOf(const verify::Verdict& verdict) {
  if (verdict.accepted) return nullptr;
  const verify::Check* failure = verdict.FirstFailure();
  return &ClassOf(failure ? std::string_view(failure->reason.code) : std::string_view());
}

ReasonText TextOf(std::string_view code) {
  static const auto texts = ReadTexts();
  const auto it = texts.find(code);
  return it == texts.end() ? ReasonText() : it->second;
}

}  // namespace ccgpu::cli
