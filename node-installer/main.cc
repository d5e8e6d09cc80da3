// ccgpu-node-installer: see node-installer/installer.h and node_agent.h for what it does.
#include "node-installer/command_line.h"

int main(int argc, char** argv) { return ccgpu::installer::RunCommandLine(argc, argv, CCGPU_VERSION); }
