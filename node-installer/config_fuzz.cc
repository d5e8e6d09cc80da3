// Whatever stands in config.toml: a plan is refused, or what it adds can be taken out to the byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "node-installer/containerd_config.h"
#include "node-installer/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu::installer;
  const std::string text(reinterpret_cast<const char*>(data), size);
  constexpr char kFile[] = "/etc/containerd/config.toml";
  (void)ReadRecord(text, "record");
  const auto before = Split(text, kFile);
  if (!before.ok()) return 0;
  for (const int major : {1, 2}) {
    const auto plan = PlanInstall(text, kFile, major, {});
    if (!plan.ok() || !plan->config.exists) continue;
    const auto after = Split(plan->config.text, kFile);
    if (!after.ok() || after->without != before->without) std::abort();
    if (plan->drop_in.empty() && after->block.empty()) std::abort();
    const auto again = PlanInstall(plan->config.text, kFile, major, {});
    if (!again.ok() || again->config.exists) std::abort();
  }
  return 0;
}
