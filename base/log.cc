#include "base/log.h"

#include <unistd.h>

#include <mutex>

#include "base/clock.h"

namespace ccgpu::log {
namespace {

std::mutex mutex;
std::string component = "ccgpu";
std::string context;
Level lowest = Level::kInfo;
int out_fd = 2;

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "?";
}

void AppendField(std::string& line, std::string_view key, std::string_view value) {
  line += ' ';
  line += key;
  line += '=';
  const bool plain = !value.empty() && value.find_first_of(" =\"\\\n\r\t") == std::string_view::npos;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') line += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20) line += ' ';
    else line += c;
  }
  line += '"';
}

}  // namespace

void Init(std::string name, Level level) {
  std::lock_guard lock(mutex);
  component = std::move(name);
  lowest = level;
}

void AddContext(std::string key, std::string value) {
  std::lock_guard lock(mutex);
  AppendField(context, key, value);
}

void SetFd(int fd) {
  std::lock_guard lock(mutex);
  out_fd = fd;
}

void Write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  std::lock_guard lock(mutex);
  if (level < lowest) return;
  std::string line = "time=" + FormatTime(SystemClock().Now());
  AppendField(line, "level", Name(level));
  AppendField(line, "component", component);
  AppendField(line, "msg", message);
  line += context;
  for (const auto& [key, value] : fields) AppendField(line, key, value);
  line += '\n';
  // A log that cannot be written (a full or broken pipe) must never stop the program.
  [[maybe_unused]] const ssize_t ignored = ::write(out_fd, line.data(), line.size());
}

}  // namespace ccgpu::log
