// ccgpu-guestd: pid 1 of a sandbox. Started by the secure processor only; there is nothing to configure that is not
// measured.
#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/log.h"
#include "shim/guest/guest_service.h"

int main(int argc, char** argv) {
  if (argc > 1) {
    std::string_view flag = argv[1];
    if (flag == "--version") return std::printf("ccgpu-guestd %s\n", CCGPU_VERSION), 0;
    if (flag == "--help") {
      std::printf(
          "ccgpu-guestd: runs inside a sandbox as its first process, started by the secure processor.\n"
          "It takes no flags; its policy comes from the initdata document whose digest is HOST_DATA.\n");
      return 0;
    }
    std::fprintf(stderr, "ccgpu-guestd: unknown flag %s; see --help\n", argv[1]);
    return 2;
  }
  if (::getpid() != 1) {
    std::fprintf(stderr, "ccgpu-guestd: must be the first process of a sandbox; the secure processor starts it\n");
    return 2;
  }
  ::prctl(PR_SET_NAME, "ccgpu-guestd");  // executed from a memfd, it would be called after a descriptor
  ::mallopt(M_ARENA_MAX, 2);             // one per sandbox: memory counts
  ccgpu::log::Init("ccgpu-guestd");
  ccgpu::Status status = ccgpu::shim::RunGuest();
  if (!status.ok()) ccgpu::log::Error("guestd stops", {{"reason", status.error().ToString()}});
  return status.ok() ? 0 : 1;
}
