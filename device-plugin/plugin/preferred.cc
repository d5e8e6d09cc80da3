#include "device-plugin/plugin/preferred.h"

#include <algorithm>
#include <map>
#include <set>

namespace ccgpu::deviceplugin {
namespace {

struct Candidate {
  std::string id;
  int32_t numa;
  uint32_t index;
};

}  // namespace

Result<std::vector<std::string>> PreferredDevices(const Snapshot& devices, const std::vector<std::string>& available,
                                                  const std::vector<std::string>& must_include, int size) {
  const std::set<std::string> offered(available.begin(), available.end());
  const std::set<std::string> must(must_include.begin(), must_include.end());
  if (size < 0 || static_cast<size_t>(size) > offered.size()) {
    return Err(
        "plugin.bad-request", "allocation_size",
        "asks for " + std::to_string(size) + " devices out of " + std::to_string(offered.size()) + " available ones");
  }
  if (must.size() > static_cast<size_t>(size)) {
    return Err("plugin.bad-request", "must_include_deviceIDs", "names more devices than allocation_size asks for");
  }
  std::vector<Candidate> candidates;
  std::map<int32_t, size_t> must_on_node, offered_on_node;
  for (const auto& id : offered) {
    const GpuView* gpu = devices.Find(id);
    if (gpu == nullptr) return Err("plugin.unknown-device", id, "is not a device of this plugin");
    offered_on_node[gpu->numa_node]++;
    if (must.count(id) != 0) {
      must_on_node[gpu->numa_node]++;
    } else {
      candidates.push_back({id, gpu->numa_node, gpu->index});
    }
  }
  for (const auto& id : must) {
    if (offered.count(id) == 0) return Err("plugin.bad-request", id, "must be included but is not available");
  }

  // The node to fill from: one that holds the whole request before one that does not; among those, the one that already
  // has most of what must be in, then (where none holds it whole) the one with most devices, then the one with the
  // lowest index.
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.index < b.index; });
  const size_t missing = static_cast<size_t>(size) - must.size();
  auto better = [&](const Candidate& a, const Candidate& b) {
    auto fits = [&](int32_t node) { return offered_on_node[node] - must_on_node[node] >= missing; };
    if (must_on_node[a.numa] != must_on_node[b.numa]) return must_on_node[a.numa] > must_on_node[b.numa];
    if (fits(a.numa) != fits(b.numa)) return fits(a.numa);
    if (!fits(a.numa) && offered_on_node[a.numa] != offered_on_node[b.numa])
      return offered_on_node[a.numa] > offered_on_node[b.numa];
    return a.index < b.index;
  };
  std::vector<std::string> chosen(must.begin(), must.end());
  if (missing > 0) {
    const int32_t home = std::min_element(candidates.begin(), candidates.end(), better)->numa;
    std::stable_partition(candidates.begin(), candidates.end(), [&](const Candidate& c) { return c.numa == home; });
    for (size_t i = 0; i < missing; ++i) chosen.push_back(candidates[i].id);
  }
  return chosen;
}

}  // namespace ccgpu::deviceplugin
