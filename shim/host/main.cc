// containerd-shim-ccgpu-v2: containerd's shim for confidential-GPU pods. The untrusted half: what it decides is whether
// a pod runs, never what it may do.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "shim/host/actions.h"

namespace {

// What goes to standard output is the answer; containerd takes standard error for a part of it, so errors are one line.
int Answer(const ccgpu::Result<std::string>& result) {
  std::string text = result.ok() ? *result : result.error().ToString() + "\n";
  for (size_t sent = 0; sent < text.size();) {
    ssize_t count = ::write(result.ok() ? 1 : 2, text.data() + sent, text.size() - sent);
    if (count <= 0) return 1;
    sent += static_cast<size_t>(count);
  }
  return result.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ccgpu::shim;
  auto flags = ParseFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (!flags.ok()) return Answer(flags.error()), 2;
  if (flags->help) return std::printf("%s", UsageText().c_str()), 0;
  if (flags->version) return std::printf("containerd-shim-ccgpu-v2 %s\n", CCGPU_VERSION), 0;
  if (flags->info) return Answer(InfoAction(CCGPU_VERSION));
  if (flags->action == "start") return Answer(StartAction(*flags));
  if (flags->action == "delete") return Answer(DeleteAction(*flags));
  if (flags->action == "serve") return ServeAction(*flags);
  return Answer(ccgpu::Err("shim.usage", flags->action, "expected start or delete; see --help")), 2;
}
