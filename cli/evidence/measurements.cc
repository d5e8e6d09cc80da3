#include "cli/evidence/measurements.h"

#include <algorithm>

#include "base/encoding.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"

namespace ccgpu::cli {
namespace {

struct Candidate {
  std::string id, version;
  size_t match = 0, differ = 0;
  std::vector<uint8_t> different;
};

// A RIM of the same kind: driver ids have no board in them.
bool SameKind(const std::string& id, const std::string& wanted) {
  for (const char* kind : {"NV_GPU_DRIVER_", "NV_GPU_CC_DRIVER_", "NV_GPU_VBIOS_", "NV_SWITCH_BIOS_"}) {
    if (wanted.starts_with(kind)) return id.starts_with(kind);
  }
  return false;
}

Candidate Compare(const std::string& id, const evidence::Rim& rim, const evidence::GpuReport& report) {
  Candidate out{id, rim.colloquial_version, 0, 0, {}};
  // NVIDIA's rule: measurement 35 does not count while NVDEC0 is disabled.
  const auto nvdec = report.opaque.Nvdec0();
  for (const evidence::RimMeasurement& golden : rim.measurements) {
    if (!golden.active || (golden.index == evidence::kIndexNvdec && nvdec == evidence::kNvdecDisabled)) continue;
    const auto runtime = report.measurements.find(golden.index);
    const bool fits = runtime != report.measurements.end() &&
                      std::any_of(golden.alternatives.begin(), golden.alternatives.end(),
                                  [&](const Bytes& value) { return value == runtime->second; });
    if (fits) ++out.match;
    else ++out.differ, out.different.push_back(golden.index);
  }
  return out;
}

std::map<std::string, evidence::Rim> RimsOf(const Judgement& judgement) {
  std::map<std::string, evidence::Rim> out;
  for (const auto& [name, bytes] : judgement.documents) {
    if (!name.starts_with("rim/")) continue;
    if (auto rim = evidence::ParseRim(AsText(bytes)); rim.ok()) out.emplace(name.substr(4), std::move(*rim));
  }
  return out;
}

std::optional<evidence::GpuReport> ReportOf(const Judgement& judgement, const std::string& check) {
  const auto document = judgement.documents.find(check.substr(0, check.find('.')) + "/report");
  if (document == judgement.documents.end()) return std::nullopt;
  auto report = evidence::ParseGpuReport(document->second, 16);
  return report.ok() ? std::optional(*report) : std::nullopt;
}

void ExplainMismatch(const Judgement& judgement, Explanation& out) {
  const auto report = ReportOf(judgement, out.check.name);
  if (!report) return;
  const auto rims = RimsOf(judgement);
  std::vector<std::string> nearest;
  const bool is_switch = out.check.name.starts_with("switch");
  const std::vector<std::string> ids =
      is_switch ? std::vector<std::string>{evidence::SwitchBiosRimId(report->opaque)}
                : std::vector<std::string>{evidence::DriverRimId(report->opaque), evidence::VbiosRimId(report->opaque)};
  for (const std::string& id : ids) {
    const auto used = rims.find(id);
    if (used == rims.end()) continue;
    const Candidate mine = Compare(id, used->second, *report);
    for (const uint8_t index : mine.different) {
      const evidence::RimMeasurement* golden = used->second.Find(index);
      const auto runtime = report->measurements.find(index);
      // NVIDIA publishes no table of components: a real device's are called as its RIM calls them.
      const bool named = judgement.verdict.environment != "emulated" && !golden->name.empty();
      const std::string component =
          named ? golden->name + " (index " + std::to_string(index) + ")" : evidence::H100ComponentName(index);
      out.details.push_back(
          "measurement " + component + ": runs " +
          (runtime == report->measurements.end() ? "nothing" : HexEncode(runtime->second).substr(0, 16) + "..") +
          ", RIM " + id + " accepts " +
          (golden->alternatives.empty() ? "nothing" : HexEncode(golden->alternatives[0]).substr(0, 16) + "..") +
          (golden->alternatives.size() > 1 ? " or " + std::to_string(golden->alternatives.size() - 1) + " more" : "") +
          "; at byte " + std::to_string(report->MeasurementOffset(index)) + " of the report");
    }
    if (mine.differ == 0) continue;
    const Candidate* best = nullptr;
    std::vector<Candidate> others;
    for (const auto& [other_id, rim] : rims) {
      if (other_id != id && SameKind(other_id, id)) others.push_back(Compare(other_id, rim, *report));
    }
    for (const Candidate& one : others) {
      if (!best || one.differ < best->differ || (one.differ == best->differ && one.match > best->match)) best = &one;
    }
    if (best && best->differ < mine.differ) {
      nearest.push_back("nearest manifest: " + best->id + " (version " + best->version + ") matches " +
                        std::to_string(best->match) + " of " + std::to_string(best->match + best->differ) +
                        " measurements" + (best->differ == 0 ? ": this is the firmware that runs" : "") +
                        "; the one for the reported version matches " + std::to_string(mine.match) + " of " +
                        std::to_string(mine.match + mine.differ));
    } else {
      nearest.push_back("no manifest at hand fits better than " + id + ", which matches " + std::to_string(mine.match) +
                        " of " + std::to_string(mine.match + mine.differ) + " measurements (" +
                        std::to_string(others.size()) + " others of its kind were compared)");
    }
  }
  out.details.insert(out.details.end(), nearest.begin(), nearest.end());
}

size_t CommonStart(const std::string& a, const std::string& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

void ExplainMissingRim(const EvidenceCase& evidence, const Judgement& judgement, Explanation& out) {
  std::string wanted = out.check.expected;
  std::string places = "the evidence itself";
  for (const std::string& source : evidence.sources) places += ", " + source;
  out.details.push_back("looked for " + wanted + " in " + places);
  std::string there, closest;
  size_t best = 0;
  for (const auto& [name, bytes] : judgement.documents) {
    if (!name.starts_with("rim/")) continue;
    const std::string id = name.substr(4);
    there += (there.empty() ? "" : ", ") + id;
    if (SameKind(id, wanted) && CommonStart(id, wanted) > best) best = CommonStart(id, wanted), closest = id;
  }
  out.details.push_back(there.empty() ? "there is no manifest at all" : "there is " + there);
  if (!closest.empty()) out.details.push_back("the closest name is " + closest + ", for another version");
}

}  // namespace

void AddDetails(const EvidenceCase& evidence, const Judgement& judgement, Explanation& explanation) {
  const std::string& code = explanation.check.reason.code;
  if (code == "gpu.measurement-mismatch") ExplainMismatch(judgement, explanation);
  if (code == "rim.not-found") ExplainMissingRim(evidence, judgement, explanation);
}

}  // namespace ccgpu::cli
