// Structured log lines on standard error, one line each, logfmt:
//   time=2026-11-22T06:30:00Z level=info component=ccgpu-broker msg="released" pod=demo resource=default/model/key
//
// Small on purpose (one write(2) a line, no allocation kept, no library): the shim and guestd, one per pod, use it too.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ccgpu::log {

enum class Level { kDebug, kInfo, kWarning, kError };
using Field = std::pair<std::string_view, std::string_view>;

// Once, at the start of main: the program's name, and the lowest level that is written (default info).
void Init(std::string component, Level lowest = Level::kInfo);
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
