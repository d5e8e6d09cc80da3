// Runs one launch: block after block, the threads of a block in turns.
#pragma once

#include "gpu-emulator/device/ptx/ir.h"

namespace ccgpu::ptx {

// Errors: cuda.illegal-address, cuda.launch-failed, cuda.launch-timeout (cancelled), cuda.invalid-value (sizes).
Status Execute(const Program& program, const Function& kernel, const LaunchSpec& spec, Memory& memory);

}  // namespace ccgpu::ptx
