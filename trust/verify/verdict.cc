#include "trust/verify/verdict.h"

#include "base/json.h"
#include "trust/verify/internal.h"

namespace ccgpu::verify {
namespace {

const char* OutcomeName(Check::Outcome outcome) {
  switch (outcome) {
    case Check::Outcome::kPassed: return "passed";
    case Check::Outcome::kFailed: return "failed";
    case Check::Outcome::kNotApplicable: return "not-applicable";
  }
  return "failed";
}

using OrderedJson = nlohmann::ordered_json;

OrderedJson ToObject(const Check& check) {
  OrderedJson item;
  item["name"] = check.name;
  item["result"] = OutcomeName(check.outcome);
  if (!check.reason.code.empty()) item["reason"] = check.reason.code;
  if (!check.reason.subject.empty()) item["subject"] = check.reason.subject;
  if (!check.reason.text.empty()) item["text"] = check.reason.text;
  if (!check.claim.empty()) item["claim"] = check.claim;
  if (!check.expected.empty()) item["expected"] = check.expected;
  if (!check.found.empty()) item["found"] = check.found;
  if (!check.document.empty()) item["document"] = check.document;
  if (check.length > 0) item["offset"] = check.offset, item["length"] = check.length;
  return item;
}

// Certificates' names may hold bytes that are not UTF-8.
std::string Text(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

}  // namespace

evidence::Verified<Claims> Seal(Claims claims) { return {Passkey(), std::move(claims)}; }

const Check* Verdict::FirstFailure() const {
  for (const Check& check : checks) {
    if (check.outcome == Check::Outcome::kFailed) return &check;
  }
  return nullptr;
}

Status Verdict::ToStatus() const {
  if (accepted) return Ok();
  if (const Check* check = FirstFailure()) return check->reason.In(check->name);
  return Err("evidence.not-verified", "evidence", "was not verified to the end");
}

std::string Verdict::ToJson() const {
  OrderedJson out;
  out["verdict"] = accepted ? "accepted" : "refused";
  out["environment"] = environment;
  out["checks"] = OrderedJson::array();
  for (const Check& check : checks) out["checks"].push_back(ToObject(check));
  out["claims"] = OrderedJson::parse(claims_json, nullptr, false);
  return Text(out);
}

std::string Verdict::FailedChecksJson() const {
  OrderedJson out = OrderedJson::array();
  for (const Check& check : checks) {
    if (check.outcome == Check::Outcome::kFailed) out.push_back(ToObject(check));
  }
  return Text(out);
}

}  // namespace ccgpu::verify
