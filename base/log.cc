#include "base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"

namespace ccgpu::log {
namespace {

std::mutex mutex;
std::string component = "ccgpu";
std::vector<std::pair<std::string, std::string>> context;
Level lowest = Level::kInfo;
Format format = Format::kText;
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
  if (!line.empty()) line += ' ';
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

// Values may hold anything that somebody sent: the library escapes, and replaces what is no UTF-8.
std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void AppendJson(std::string& line, std::string_view key, std::string_view value) {
  line += line.empty() ? '{' : ',';
  line += Quoted(key) + ":" + Quoted(value);
}

}  // namespace

void Init(std::string name, Level level) {
  const char* wanted = std::getenv(kFormatVariable);
  SetFormat(wanted ? wanted : "");
  std::lock_guard lock(mutex);
  component = std::move(name);
  lowest = level;
}

void SetFormat(std::string_view name) {
  std::lock_guard lock(mutex);
  if (name == "json") format = Format::kJson;
  if (name == "text") format = Format::kText;
}

Format CurrentFormat() {
  std::lock_guard lock(mutex);
  return format;
}

void AddContext(std::string key, std::string value) {
  std::lock_guard lock(mutex);
  context.emplace_back(std::move(key), std::move(value));
}

void SetFd(int fd) {
  std::lock_guard lock(mutex);
  out_fd = fd;
}

void Write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  std::lock_guard lock(mutex);
  if (level < lowest) return;
  const bool json = format == Format::kJson;
  std::string line;
  const auto append = [&](std::string_view key, std::string_view value) {
    json ? AppendJson(line, key, value) : AppendField(line, key, value);
  };
  append("time", FormatTime(SystemClock().Now()));
  append("level", Name(level));
  append("component", component);
  append("msg", message);
  for (const auto& [key, value] : context) append(key, value);
  for (const auto& [key, value] : fields) append(key, value);
  line += json ? "}\n" : "\n";
  // A log that cannot be written (a full or broken pipe) must never stop the program.
  [[maybe_unused]] const ssize_t ignored = ::write(out_fd, line.data(), line.size());
}

}  // namespace ccgpu::log
