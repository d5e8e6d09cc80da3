// The program behind main: its commands, flags and exit codes.
#pragma once

namespace ccgpu::installer {

// 0 done, 1 could not, 2 usage or a configuration that the installer refuses to touch.
int RunCommandLine(int argc, char** argv, const char* version);

}  // namespace ccgpu::installer
