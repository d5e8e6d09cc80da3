// What a collateral document says about itself: for people who must know what they hold and until when it serves.
// Nothing is verified here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "collateral/document.h"

namespace ccgpu::collateral {

struct Description {
  Kind kind = Kind::kRim;
  std::string name, sha256;
  std::string what;      // "driver or VBIOS manifest 545.00 for GH100"
  std::string for_whom;  // the device, certificate or product that it is about
  std::string signer;    // as it names itself
  std::optional<TimePoint> from;
  // When it stops to serve: nextUpdate, or the end of the first certificate of its chain that ends. Unset: no end.
  std::optional<TimePoint> until;
  std::string problem;  // it cannot be read, and why; then only kind, name and sha256 count
};

Description Describe(const Document& document);

enum class Freshness { kFresh, kNotYet, kOver, kUnreadable };
Freshness FreshnessAt(const Description& description, TimePoint now);
std::string_view WordOf(Freshness freshness);  // "fresh", "not yet valid", "over", "unreadable"

}  // namespace ccgpu::collateral
