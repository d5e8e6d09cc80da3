// A folder of RIM service answers, <id>.json each (docs/formats/rim-service.md): somebody else's RIMs, handed on.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ccgpu::emulator {

// Reads the folder at each call, so that whoever fills it needs no restart. Any thread.
class RimMirror {
 public:
  // Empty: a mirror of nothing.
  explicit RimMirror(std::string folder) : folder_(std::move(folder)) {}

  std::vector<std::string> Ids() const;  // in order
  // The file as it is, when its id and digest are right; nullopt when there is none or it does not fit its name (the
  // log says so).
  std::optional<std::string> Answer(const std::string& id) const;

 private:
  std::string folder_;
};

}  // namespace ccgpu::emulator
