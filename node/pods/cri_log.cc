#include "node/pods/cri_log.h"

#include "base/file.h"

namespace ccgpu::node {

std::optional<CriLogLine> ParseCriLogLine(std::string_view line) {
  CriLogLine out;
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  size_t third = line.find(' ', second + 1);
  if (third == std::string_view::npos) third = line.size();
  out.time = line.substr(0, first);
  out.stream = line.substr(first + 1, second - first - 1);
  const std::string_view tag = line.substr(second + 1, third - second - 1);
  if (out.stream != "stdout" && out.stream != "stderr") return std::nullopt;
  if (tag != "P" && tag != "F" && !tag.starts_with("P:") && !tag.starts_with("F:")) return std::nullopt;
  out.partial = tag[0] == 'P';
  out.text = third < line.size() ? line.substr(third + 1) : std::string_view();
  return out;
}

std::string ContainerLogPath(const std::string& container, uint32_t attempt) {
  return container + "/" + std::to_string(attempt) + ".log";
}

PodLogReader::PodLogReader(std::string dir, std::vector<std::string> containers) : dir_(std::move(dir)) {
  for (auto& name : containers) {
    LineFile file(Path(name, 0));
    sources_.push_back(Source{std::move(name), 0, std::move(file), "", ""});
  }
}

std::string PodLogReader::Path(const std::string& container, int attempt) const {
  return dir_ + "/" + ContainerLogPath(container, static_cast<uint32_t>(attempt));
}

bool PodLogReader::Read(const std::function<void(const LogText&)>& on_text) {
  bool any = false;
  for (auto& source : sources_) {
    for (;;) {
      const size_t lines = source.file.Read([&](std::string_view line) {
        const auto parsed = ParseCriLogLine(line);
        if (!parsed) return;
        std::string& partial = parsed->stream == "stdout" ? source.partial_out : source.partial_err;
        partial.append(parsed->text);
        if (parsed->partial && partial.size() < (1u << 20)) return;
        on_text({source.container, std::string(parsed->stream), std::move(partial)});
        partial.clear();
      });
      any = any || lines > 0;
      if (lines > 0) continue;
      // The next attempt's file exists only when this one is complete.
      if (!Exists(Path(source.container, source.attempt + 1))) break;
      source.attempt++;
      source.file = LineFile(Path(source.container, source.attempt));
    }
  }
  return any;
}

void PodLogReader::Flush(const std::function<void(const LogText&)>& on_text) {
  Read(on_text);
  for (auto& source : sources_) {
    if (!source.partial_out.empty()) on_text({source.container, "stdout", std::move(source.partial_out)});
    if (!source.partial_err.empty()) on_text({source.container, "stderr", std::move(source.partial_err)});
    source.partial_out.clear();
    source.partial_err.clear();
  }
}

}  // namespace ccgpu::node
