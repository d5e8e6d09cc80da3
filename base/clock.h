// Time as an argument. Code that decides anything by time takes a TimePoint (or a Clock); only main.cc makes a
// SystemClock.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu {

using TimePoint = std::chrono::sys_seconds;  // UTC

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;  // any thread
};

class SystemClock final : public Clock {
 public:
  TimePoint Now() const override;
};

// A clock that tests set.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimePoint now) : now_(now) {}
  TimePoint Now() const override { return now_; }
  void Set(TimePoint now) { now_ = now; }
  void Advance(std::chrono::seconds by) { now_ += by; }

 private:
  TimePoint now_;
};

std::string FormatTime(TimePoint time);              // RFC 3339, "2026-11-22T06:30:00Z"
Result<TimePoint> ParseTime(std::string_view text);  // the same, or a date alone (midnight UTC)

}  // namespace ccgpu
