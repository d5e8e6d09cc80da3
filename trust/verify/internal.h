// How checks are written and run. Included by trust/verify's own sources only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trust/verify/verdict.h"

namespace ccgpu::evidence {
struct ReferenceValues;
}

namespace ccgpu::verify {

// Only this library's sources include this header, so only they can make evidence::Verified<T>.
class Passkey {
 private:
  Passkey() = default;
  friend evidence::Verified<Claims> Seal(Claims claims);
  friend evidence::Verified<evidence::ReferenceValues> SealReferences(evidence::ReferenceValues values);
};

// What one check found.
struct Finding {
  Check::Outcome outcome = Check::Outcome::kFailed;
  Error reason;
  std::string claim, expected, found, document;
  size_t offset = 0, length = 0;

  static Finding Pass() { return {Check::Outcome::kPassed, {}, {}, {}, {}, {}, 0, 0}; }
  // Not applicable, and why.
  static Finding Skip(std::string why) {
    return {Check::Outcome::kNotApplicable, Error{"", "", std::move(why)}, {}, {}, {}, {}, 0, 0};
  }
  static Finding Fail(Error error) { return {Check::Outcome::kFailed, std::move(error), {}, {}, {}, {}, 0, 0}; }

  Finding&& Claim(std::string name, std::string want, std::string have) && {
    claim = std::move(name), expected = std::move(want), found = std::move(have);
    return std::move(*this);
  }
  Finding&& At(std::string doc, size_t off, size_t len) && {
    document = std::move(doc), offset = off, length = len;
    return std::move(*this);
  }
};

// One entry of a list of checks. A check that may not be skipped and says "not applicable" refuses all the same: that
// happens only behind an earlier failure, and a mistake in a check must not turn into an acceptance.
template <class Context>
struct NamedCheck {
  std::string_view name;
  Finding (*run)(Context&);
  bool may_skip = false;
};

// Runs a whole list in its order, appends to `checks`; true when nothing stands against acceptance.
template <class Context>
bool RunChecks(std::span<const NamedCheck<Context>> list, Context& context, const std::string& prefix,
               std::vector<Check>& checks) {
  bool good = !list.empty();
  for (const NamedCheck<Context>& entry : list) {
    Finding f = entry.run(context);
    const bool fine =
        f.outcome == Check::Outcome::kPassed || (f.outcome == Check::Outcome::kNotApplicable && entry.may_skip);
    good = good && fine;
    Check check{prefix + std::string(entry.name),
                f.outcome,
                std::move(f.reason),
                std::move(f.claim),
                std::move(f.expected),
                std::move(f.found),
                std::move(f.document),
                f.offset,
                f.length};
    if (check.outcome == Check::Outcome::kFailed && check.reason.subject.empty())
      check.reason.subject = check.document.empty() ? check.name : check.document;
    checks.push_back(std::move(check));
  }
  return good;
}

evidence::Verified<Claims> Seal(Claims claims);

}  // namespace ccgpu::verify
