#include <csignal>
#include <iostream>

#include "cli/commands.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `ccgpu logs | head` ends quietly
  const ccgpu::SystemClock clock;
  ccgpu::crypto::SystemRandom random;
  return ccgpu::cli::Main(argc, argv, CCGPU_VERSION, std::cout, std::cerr, clock, random);
}
