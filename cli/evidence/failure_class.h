// Which kind of failure a refusal is: one of few classes, so that scripts can tell "fetch fresh collateral" from "take
// the device out of service". docs/cli.md lists them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trust/verify/verdict.h"

namespace ccgpu::cli {

struct FailureClass {
  int exit_code;          // with --exit-class
  std::string_view word;  // "measurement"
  std::string_view means;
};

const std::vector<FailureClass>& FailureClasses();
// By the reason code alone.
const FailureClass& ClassOf(std::string_view reason_code);
// Of the first failed check; nullptr when accepted.
const FailureClass* ClassOf(const verify::Verdict& verdict);

// What docs/reason-codes/ says about a code; empty members when it is not there.
struct ReasonText {
  std::string meaning, remedy;
};
ReasonText TextOf(std::string_view reason_code);

}  // namespace ccgpu::cli
