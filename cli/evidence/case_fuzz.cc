// One or two files from anywhere (split at the first 0xff 0x00): recognised, shown, judged and explained without a
// crash, and never accepted under no roots.
#include <cstdlib>
#include <sstream>

#include "cli/evidence/diff.h"
#include "cli/evidence/explain.h"
#include "cli/evidence/needs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  using namespace ccgpu::cli;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t split = text.find(std::string("\xff\0", 2));
  std::vector<InputFile> files = {MakeInput("a", text.substr(0, split))};
  if (split != std::string::npos) files.push_back(MakeInput("b", text.substr(split + 2)));
  auto opened = MakeCase(std::move(files));
  if (!opened.ok()) return 0;
  if (auto shown = opened->format->show(*opened); shown.ok()) (void)Diff(*shown, OrderedJson::object());
  if (auto needs = NeedsOf(*opened); needs.ok()) (void)MissingFor(*opened, *needs);
  Expectations expect;
  expect.at = ParseTime("2024-06-01").value();
  auto judged = opened->format->verify(*opened, expect);
  if (!judged.ok()) return 0;
  if (judged->verdict.accepted) abort();
  ApplyPolicy(expect.policy, std::string(opened->format->name), judged->verdict);
  std::ostringstream out;
  PrintExplanations(out, *opened, *judged);
  PrintVerdict(out, *judged);
  (void)VerdictJson(*judged, *opened->format);
  return 0;
}
