// What an event of a sandbox means to the pod's owner: the reason that kubectl shows, good or bad, and what becomes of
// the pod's condition ccgpu.dev/Attested.
//
// Events come from shim, guestd and agent over the host's file system. They inform; they prove nothing. Proof is
// evidence, which `kubectl ccgpu verify` and the broker check.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::nodemanager {

enum class Attested {
  kUnchanged,
  kTrue,
  kFalse,
  kFalseUnlessTrue,  // a denied exec does not make an attested pod unattested
};

struct Outcome {
  bool warning = false;
  std::string reason;  // CamelCase
  Attested attested = Attested::kUnchanged;
};

Outcome OutcomeOf(std::string_view code);

}  // namespace ccgpu::nodemanager
