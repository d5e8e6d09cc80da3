// The Node's annotation that holds a switch's journal: anybody with rights on nodes can write it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "node-manager/modes/mode_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto journal = ccgpu::nodemanager::ParseJournal(std::string(reinterpret_cast<const char*>(data), size));
  if (!journal.ok()) return 0;
  // What is accepted comes back the same.
  const auto again = ccgpu::nodemanager::ParseJournal(journal->ToText());
  if (!again.ok() || again->to != journal->to || again->from != journal->from) std::abort();
  return 0;
}
