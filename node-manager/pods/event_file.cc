#include "node-manager/pods/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/fd.h"

namespace ccgpu::nodemanager {
namespace {

constexpr size_t kMostLine = 64 << 10, kPiece = 256 << 10;

std::string Text(const Json& object, const char* key, size_t most) {
  const auto found = object.find(key);
  std::string out = found != object.end() && found->is_string() ? found->get<std::string>() : "";
  if (out.size() > most) {
    out.resize(most);
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80) != 0) out.pop_back();
  }
  // One line of plain text in kubectl's tables, whatever a sandbox sends.
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

bool IsCode(std::string_view code) {
  if (code.empty() || code.size() > 80 || code.find('.') == std::string_view::npos) return false;
  return std::all_of(code.begin(), code.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

bool IsName(const std::string& name, size_t most) {
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

}  // namespace

std::optional<PodEvent> ParsePodEvent(std::string_view line) {
  const auto json = ParseJson(line, "event", 8);
  if (!json.ok() || !json->is_object()) return std::nullopt;
  PodEvent event{Text(*json, "time", 40), Text(*json, "component", 64), Text(*json, "code", 100),
                 Text(*json, "message", 900), Text(*json, "subject", 300)};
  if (!IsCode(event.code)) return std::nullopt;
  return event;
}

std::optional<PodRef> ParsePodRef(const std::string& text) {
  const auto json = ParseJson(text, "pod.json", 4);
  if (!json.ok() || !json->is_object()) return std::nullopt;
  PodRef pod{Text(*json, "name", 300), Text(*json, "namespace", 100), Text(*json, "uid", 100)};
  if (!IsName(pod.name, 253) || !IsName(pod.ns, 63)) return std::nullopt;
  return pod;
}

bool ReadLines(const std::string& file, FilePosition& position, size_t most_lines,
               const std::function<bool(std::string_view)>& on_line) {
  Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return true;
  if (position.inode != info.st_ino || position.offset > static_cast<uint64_t>(info.st_size))
    position = {info.st_ino, 0};
  std::vector<char> buffer(kPiece);
  for (size_t lines = 0; lines < most_lines;) {
    const ssize_t count = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(position.offset));
    if (count <= 0) return true;
    const std::string_view piece(buffer.data(), static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; lines < most_lines && (end = piece.find('\n', begin)) != std::string_view::npos; lines++) {
      if (end - begin <= kMostLine && !on_line(piece.substr(begin, end - begin))) return false;
      position.offset += end + 1 - begin;
      begin = end + 1;
    }
    if (begin > 0) continue;
    // No line ends in a whole piece: skip it. Less than a piece: the line is not whole yet.
    if (piece.size() < kPiece) return true;
    position.offset += piece.size();
  }
  return true;
}

}  // namespace ccgpu::nodemanager
