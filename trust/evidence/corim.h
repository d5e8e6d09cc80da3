// CoRIM (draft-ietf-rats-corim): reference values in CBOR, of which the reference triples with digests are read.
//
// docs/formats/corim.md says which subset, and under which names the measurements of each format are looked for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/digest.h"
#include "trust/evidence/cbor.h"

namespace ccgpu::evidence {

// What a set of reference values is about. Empty and absent parts say nothing about that part.
struct ReferenceEnvironment {
  std::string class_id;  // "uuid:..", "oid:..", "bytes:<hex>", "psa:<hex>"
  std::string vendor, model;
  std::optional<uint64_t> layer, index;
  bool operator==(const ReferenceEnvironment&) const = default;
};

// One measured thing: any of `digests` is fine.
struct ReferenceMeasurement {
  std::string key;  // the mkey: "7" for a number, text as it is, "uuid:..", "oid:.."; empty when there is none
  std::map<crypto::Hash, std::vector<Bytes>> digests;
  std::optional<uint64_t> svn, minimum_svn;
  std::string version, name;
};

struct ReferenceTriple {
  ReferenceEnvironment environment;
  std::vector<ReferenceMeasurement> measurements;
};

// One CoMID.
struct ReferenceTag {
  std::string id;  // text, or "uuid:.."
  uint64_t version = 0;
  std::vector<ReferenceTriple> triples;
};

// A CoRIM. Only trust/verify makes a Verified<ReferenceValues> of it.
struct ReferenceValues {
  std::string id, profile;
  std::optional<TimePoint> not_before, not_after;
  std::vector<ReferenceTag> tags;
  std::string environment;  // hardware | emulated, by who signed it; set by trust/verify, not in the document
  size_t ignored_tags = 0, ignored_triples = 0;  // CoSWIDs; endorsements and other triples: they add nothing here
};

// The header of a signed CoRIM (COSE header 8).
struct CorimMeta {
  std::string signer;
  std::optional<TimePoint> not_before, not_after;
};

inline constexpr size_t kMaxCorimSize = 4u << 20;

// The unsigned form: tag 501. Errors: cbor.malformed; corim.malformed; corim.unsupported for a reference value of a
// kind that nothing here could compare (ignoring it would accept what it forbids).
Result<ReferenceValues> ParseCorim(ByteView document);
Result<CorimMeta> ParseCorimMeta(ByteView document);

// The unsigned form of `values`; class ids are written as their prefix says. Keys that are numbers are written as such.
Bytes EncodeCorim(const ReferenceValues& values);
Bytes EncodeCorimMeta(const CorimMeta& meta);

}  // namespace ccgpu::evidence
