// `ccgpu gpu`: what the host may do to the emulated GPUs, over the emulator's control socket.
#pragma once

#include <string>

#include "cli/context.h"

namespace ccgpu::cli {

int ListGpus(Context& context);
// `which`: an index, or a UUID.
int SetGpuMode(Context& context, const std::string& which, const std::string& mode);
int InjectGpuFault(Context& context, const std::string& which, const std::string& fault);
int ResetGpu(Context& context, const std::string& which);

}  // namespace ccgpu::cli
