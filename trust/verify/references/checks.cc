#include "trust/verify/references/checks.h"

#include <algorithm>

#include "base/encoding.h"

namespace ccgpu::verify {
namespace {

// A class id, layer or index narrows values down to parts that no evidence here names.
bool Fits(const evidence::ReferenceEnvironment& environment, const Measured& measured) {
  return environment.class_id.empty() && !environment.layer && !environment.index &&
         environment.vendor == measured.vendor && (environment.model.empty() || environment.model == measured.model);
}

}  // namespace

ReferenceComparison CompareWithReferences(const References& references, const Measured& measured) {
  std::map<std::string, ReferenceMismatch> wanted;  // by key; becomes a mismatch when nothing of it fits
  for (const auto& set : references.sets) {
    for (const evidence::ReferenceTag& tag : set->tags) {
      for (const evidence::ReferenceTriple& triple : tag.triples) {
        if (!Fits(triple.environment, measured)) continue;
        for (const evidence::ReferenceMeasurement& m : triple.measurements) {
          if (measured.exempt.contains(m.key)) continue;
          ReferenceMismatch& entry = wanted[m.key];
          entry.key = m.key;
          if (entry.source.empty()) entry.source = set->id + "/" + tag.id;
          // Values of another algorithm leave the key named and nothing allowed by them.
          if (const auto digests = m.digests.find(measured.hash); digests != m.digests.end())
            entry.allowed.insert(entry.allowed.end(), digests->second.begin(), digests->second.end());
        }
      }
    }
  }
  ReferenceComparison out;
  out.compared = wanted.size();
  for (auto& [key, entry] : wanted) {
    const auto found = measured.values.find(key);
    if (found != measured.values.end()) entry.runtime = found->second;
    const bool fits = std::any_of(entry.allowed.begin(), entry.allowed.end(),
                                  [&](const Bytes& value) { return EqualConstantTime(value, entry.runtime); });
    if (!fits) out.mismatches.push_back(std::move(entry));
  }
  return out;
}

Finding CheckReferences(const References* references, const Measured& measured, const std::string& environment,
                        const std::string& document) {
  if (!references) return Finding::Skip("no CoRIM reference values were given");
  for (const auto& set : references->sets) {
    if (set->environment == environment) continue;
    return Finding::Fail(Err("environment.mixed", "",
                             "the CoRIM \"" + set->id + "\" is " + set->environment + ", the evidence is " +
                                 (environment.empty() ? "of no known root" : environment)))
        .Claim("environment", environment, set->environment);
  }
  const ReferenceComparison comparison = CompareWithReferences(*references, measured);
  if (comparison.compared == 0) {
    return Finding::Fail(Err("corim.no-values", "",
                             "the " + std::to_string(references->sets.size()) + " CoRIMs say nothing about vendor \"" +
                                 measured.vendor + "\", model \"" + measured.model + "\""))
        .At(document, 0, 0);
  }
  if (comparison.mismatches.empty()) return Finding::Pass();
  std::string keys;
  for (const ReferenceMismatch& m : comparison.mismatches) keys += (keys.empty() ? "" : ", ") + m.key;
  const ReferenceMismatch& first = comparison.mismatches[0];
  std::string allowed;
  for (const Bytes& value : first.allowed) allowed += (allowed.empty() ? "" : " or ") + HexEncode(value);
  return Finding::Fail(Err("corim.measurement-mismatch", "",
                           std::to_string(comparison.mismatches.size()) + " of " + std::to_string(comparison.compared) +
                               " measurements differ from signed reference values: " + keys + "; the first against " +
                               first.source))
      .Claim("measurement " + first.key, allowed, HexEncode(first.runtime))
      .At(document, 0, 0);
}

}  // namespace ccgpu::verify
