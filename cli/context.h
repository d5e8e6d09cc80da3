// What every command of `ccgpu` gets, and the exit codes that scripts may rely on (docs/cli.md).
#pragma once

#include <iostream>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cli/deployment/layout.h"

namespace ccgpu::cli {

enum ExitCode : int {
  kOk = 0,  // done; of `run`: every container exited 0; of `evidence verify`: accepted
  kFailed =
      1,  // of `run`: a container failed or the time was over; of `evidence verify`: refused; else: could not be done
  kUsage = 2,        // wrong arguments, or a file that is not what it should be
  kRefused = 3,      // of `run`: a policy or an attestation refused the pod
  kUnavailable = 4,  // the deployment does not run or does not answer
};

struct Context {
  deployment::Layout layout;
  bool json = false;
  std::ostream& out = std::cout;
  std::ostream& err = std::cerr;
  const Clock& clock;
};

// What kind of failure an error is when nothing more is known.
int ExitCodeOf(const Error& error);
// Says the error (with --json as {"error":{"code","subject","text"}} on standard output) and returns its exit code.
int Report(const Context& context, const Error& error);
int Report(const Context& context, const Error& error, int exit_code);

}  // namespace ccgpu::cli
