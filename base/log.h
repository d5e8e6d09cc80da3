// Structured log lines on standard error, one line each, logfmt or JSON:
//   time=2026-11-22T06:30:00Z level=info component=ccgpu-broker msg="released" sandbox=5d1f..
//   resource=default/model/key
//   {"time":"2026-11-22T06:30:00Z","level":"info","component":"ccgpu-broker","msg":"released","sandbox":"5d1f..",...}
//
// One pod is followed through all programs by the field `sandbox` (the CRI's sandbox id); the shim's first line and the
// node's join it to `pod` and `pod_uid`. Small on purpose (one write(2) a line, no library but the JSON one): the shim
// and guestd, one per pod, use it too.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ccgpu::log {

enum class Level { kDebug, kInfo, kWarning, kError };
enum class Format { kText, kJson };
using Field = std::pair<std::string_view, std::string_view>;

// Names the format for child processes; a flag goes over it.
inline constexpr char kFormatVariable[] = "CCGPU_LOG_FORMAT";

// Once, at the start of main: the program's name, and the lowest level that is written (default info). The format is
// what the variable says, else text.
void Init(std::string component, Level lowest = Level::kInfo);
// "json" or "text"; nothing happens with any other name (an empty flag).
void SetFormat(std::string_view name);
Format CurrentFormat();
// Fields that every later line carries (pod id and the like).
void AddContext(std::string key, std::string value);
// Where the lines go (default 2). The fd stays the caller's.
void SetFd(int fd);

// Any thread.
void Write(Level level, std::string_view message, std::initializer_list<Field> fields);
inline void Debug(std::string_view m, std::initializer_list<Field> f = {}) { Write(Level::kDebug, m, f); }
inline void Info(std::string_view m, std::initializer_list<Field> f = {}) { Write(Level::kInfo, m, f); }
inline void Warning(std::string_view m, std::initializer_list<Field> f = {}) { Write(Level::kWarning, m, f); }
inline void Error(std::string_view m, std::initializer_list<Field> f = {}) { Write(Level::kError, m, f); }

}  // namespace ccgpu::log
