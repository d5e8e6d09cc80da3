#include <csignal>
#include <iostream>

#include "cli/kube/plugin.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `kubectl ccgpu status | head` ends quietly
  const ccgpu::SystemClock clock;
  ccgpu::crypto::SystemRandom random;
  return ccgpu::cli::PluginMain(argc, argv, CCGPU_VERSION, std::cout, std::cerr, clock, random);
}
