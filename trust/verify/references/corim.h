// Signed CoRIMs as reference values: VerifyCorim makes them Verified, and measurements of any evidence are compared
// with them. docs/formats/corim.md says which environment and keys each kind of evidence is looked up under.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "trust/evidence/corim.h"
#include "trust/verify/references/cose.h"

namespace ccgpu::verify {

struct CorimOptions {
  CoseRules signer;  // `content_type` is not used: a CoRIM's own is required
  // Lowest version accepted of each CoMID, by its id: against going back to older reference values.
  std::map<std::string, uint64_t> minimum_versions;
  bool require_validity = true;  // a CoRIM whose signer set no end is refused
  bool insecure_accept_emulated = false;
};

struct CorimVerdict {
  Verdict verdict;  // claims: {"environment", "corim", "signer", "tags":{id: version}}
  std::optional<evidence::Verified<evidence::ReferenceValues>> values;  // set exactly when accepted
};

// A CoRIM is "emulated" when its signer's name or its root's says so; otherwise the pinned key is taken for a vendor's
// or an operator's, "hardware".
CorimVerdict VerifyCorim(const evidence::Unverified<Bytes>& document, const CorimOptions& options, TimePoint now);

// Several CoRIMs together: what any of them allows is allowed. Immutable, shared by the calls that use it.
struct References {
  std::vector<evidence::Verified<evidence::ReferenceValues>> sets;
};

// What was measured, in the words of reference values.
struct Measured {
  std::string vendor, model;  // "NVIDIA", "GH100"
  crypto::Hash hash = crypto::Hash::kSha384;
  std::map<std::string, Bytes> values;  // key -> digest
  std::set<std::string> exempt = {};    // keys that mean nothing on this device, whatever was measured
};
struct ReferenceMismatch {
  std::string key;
  std::vector<Bytes> allowed;
  Bytes runtime;       // empty: not measured at all
  std::string source;  // "<CoRIM id>/<CoMID id>" of one that speaks about this key
};
struct ReferenceComparison {
  size_t compared = 0;  // keys that some set speaks about; 0: nothing is known about this environment
  std::vector<ReferenceMismatch> mismatches;
};
// Each key that the sets name for this environment must have been measured with one of its digests. Keys that no set
// names are not judged.
ReferenceComparison CompareWithReferences(const References& references, const Measured& measured);

}  // namespace ccgpu::verify
