#include "trust/evidence/corim.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

using cbor::Kind;
using cbor::Value;

constexpr uint64_t kCorimTag = 501, kComidTag = 506, kCoswidTag = 505, kEpochTag = 1, kUriTag = 32, kUuidTag = 37,
                   kOidTag = 111, kSvnTag = 552, kMinSvnTag = 553, kBytesTag = 560, kPsaTag = 600;
constexpr size_t kUuidSize = 16;
constexpr uint64_t kReferenceTriples = 0;
// Triples of other kinds: endorsed values, identity and attestation keys, dependencies, memberships, CoSWIDs,
// conditional endorsements.
constexpr uint64_t kLastKnownTriples = 10;

Error Bad(const Value& at, std::string text) {
  return Err("corim.malformed", "byte " + std::to_string(at.offset), std::move(text));
}
Error Unsupported(const Value& at, std::string text) {
  return Err("corim.unsupported", "byte " + std::to_string(at.offset), std::move(text));
}

// Maps of the format have small numbers as keys; a key that this program does not know may change the meaning of all.
Status OnlyKeys(const Value& map, std::initializer_list<uint64_t> known, const char* what) {
  if (!map.Is(Kind::kMap)) return Bad(map, std::string(what) + " is not a map");
  for (size_t i = 0; i < map.items.size(); i += 2) {
    const Value& key = map.items[i];
    if (!key.Is(Kind::kUnsigned) || std::find(known.begin(), known.end(), key.number) == known.end())
      return Unsupported(key, std::string(what) + " has a member that this program does not know");
  }
  return Ok();
}

std::string Hex(std::string_view prefix, ByteView bytes) { return std::string(prefix) + HexEncode(bytes); }

Result<std::string> TextOf(const Value& value, const char* what) {
  if (!value.Is(Kind::kText)) return Bad(value, std::string(what) + " is not text");
  return std::string(value.Text());
}

Result<uint64_t> NumberOf(const Value& value, const char* what) {
  if (!value.Is(Kind::kUnsigned)) return Bad(value, std::string(what) + " is not an unsigned number");
  return value.number;
}

// "uuid:.." and the other typed identifiers; nothing for what is none.
std::optional<std::string> TypedId(const Value& value) {
  if (!value.Is(Kind::kTag) || !value.items[0].Is(Kind::kBytes)) return std::nullopt;
  const ByteView content = value.items[0].content;
  if (value.number == kUuidTag && content.size() == kUuidSize) return Hex("uuid:", content);
  if (value.number == kOidTag && !content.empty()) return Hex("oid:", content);
  if (value.number == kBytesTag) return Hex("bytes:", content);
  if (value.number == kPsaTag) return Hex("psa:", content);
  return std::nullopt;
}

// Text, or the 16 bytes of a UUID with or without its tag.
Result<std::string> TagId(const Value& value, const char* what) {
  if (value.Is(Kind::kText) && !value.Text().empty()) return std::string(value.Text());
  if (value.Is(Kind::kBytes) && value.content.size() == kUuidSize) return Hex("uuid:", value.content);
  if (auto id = TypedId(value); id && value.number == kUuidTag) return *id;
  return Bad(value, std::string(what) + " is neither text nor a UUID");
}

Status ReadValidity(const Value& map, std::optional<TimePoint>& from, std::optional<TimePoint>& to) {
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1}, "validity"));
  for (const auto& [key, out] : {std::pair(0, &from), std::pair(1, &to)}) {
    const Value* time = map.Find(key);
    if (!time) continue;
    const auto seconds = time->IsTag(kEpochTag) ? time->items[0].Integer() : std::nullopt;
    // Beyond the year 9999 is no time that anything here can print or means.
    if (!seconds || *seconds < 0 || *seconds > 253402300799) return Bad(*time, "is not a time (tag 1, whole seconds)");
    *out = TimePoint(std::chrono::seconds(*seconds));
  }
  if (!to) return Bad(map, "validity has no end");
  return Ok();
}

Result<crypto::Hash> HashOf(const Value& value) {
  const auto number = value.Integer();
  if (number == 1 || (value.Is(Kind::kText) && value.Text() == "sha-256")) return crypto::Hash::kSha256;
  if (number == 7 || (value.Is(Kind::kText) && value.Text() == "sha-384")) return crypto::Hash::kSha384;
  if (number == 8 || (value.Is(Kind::kText) && value.Text() == "sha-512")) return crypto::Hash::kSha512;
  return Unsupported(value, "a digest of another algorithm than SHA-256, SHA-384 and SHA-512");
}

Status ReadDigests(const Value& list, ReferenceMeasurement& out) {
  if (!list.Is(Kind::kArray) || list.items.empty()) return Bad(list, "digests is not a list");
  for (const Value& item : list.items) {
    if (!item.Is(Kind::kArray) || item.items.size() != 2 || !item.items[1].Is(Kind::kBytes))
      return Bad(item, "a digest is not an algorithm and a byte string");
    ASSIGN_OR_RETURN(const crypto::Hash hash, HashOf(item.items[0]));
    if (item.items[1].content.size() != crypto::HashSize(hash))
      return Bad(item.items[1], "a digest does not have its algorithm's length");
    out.digests[hash].push_back(ToBytes(item.items[1].content));
  }
  return Ok();
}

Status ReadSvn(const Value& value, ReferenceMeasurement& out) {
  const Value& number = value.Is(Kind::kTag) ? value.items[0] : value;
  if (!number.Is(Kind::kUnsigned) || (value.Is(Kind::kTag) && value.number != kSvnTag && value.number != kMinSvnTag))
    return Bad(value, "svn is not a number, nor one with the tag 552 or 553");
  (value.IsTag(kMinSvnTag) ? out.minimum_svn : out.svn) = number.number;
  return Ok();
}

Status ReadValues(const Value& map, ReferenceMeasurement& out) {
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1, 2, 11}, "a measurement's values"));
  if (const Value* version = map.Find(0)) {
    RETURN_IF_ERROR(OnlyKeys(*version, {0, 1}, "version"));
    const Value* text = version->Find(int64_t{0});
    if (!text) return Bad(*version, "version has no text");
    ASSIGN_OR_RETURN(out.version, TextOf(*text, "version"));
  }
  if (const Value* svn = map.Find(1)) RETURN_IF_ERROR(ReadSvn(*svn, out));
  if (const Value* digests = map.Find(2)) RETURN_IF_ERROR(ReadDigests(*digests, out));
  if (const Value* name = map.Find(11)) {
    ASSIGN_OR_RETURN(out.name, TextOf(*name, "name"));
  }
  if (out.digests.empty() && !out.svn && !out.minimum_svn)
    return Unsupported(map, "a reference value without a digest or security version would accept anything");
  return Ok();
}

Result<ReferenceMeasurement> ReadMeasurement(const Value& map) {
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1}, "a measurement"));
  ReferenceMeasurement out;
  if (const Value* key = map.Find(int64_t{0})) {
    if (key->Is(Kind::kUnsigned)) out.key = std::to_string(key->number);
    else if (key->Is(Kind::kText) && !key->Text().empty()) out.key = key->Text();
    else if (auto id = TypedId(*key)) out.key = *id;
    else return Unsupported(*key, "a measurement's key is of a kind that this program does not know");
  }
  const Value* values = map.Find(1);
  if (!values) return Bad(map, "a measurement has no values");
  RETURN_IF_ERROR(ReadValues(*values, out));
  return out;
}

Result<ReferenceEnvironment> ReadEnvironment(const Value& map) {
  // Instance and group (1, 2) narrow a class down to single devices: values for one device must not count for others.
  RETURN_IF_ERROR(OnlyKeys(map, {0}, "an environment"));
  ReferenceEnvironment out;
  const Value* kind = map.Find(int64_t{0});
  if (!kind) return Bad(map, "an environment without a class would fit everything");
  RETURN_IF_ERROR(OnlyKeys(*kind, {0, 1, 2, 3, 4}, "a class"));
  if (kind->items.empty()) return Bad(*kind, "an empty class would fit everything");
  if (const Value* id = kind->Find(int64_t{0})) {
    auto typed = TypedId(*id);
    if (!typed) return Unsupported(*id, "a class id of a kind that this program does not know");
    out.class_id = *typed;
  }
  if (const Value* vendor = kind->Find(1)) {
    ASSIGN_OR_RETURN(out.vendor, TextOf(*vendor, "vendor"));
  }
  if (const Value* model = kind->Find(2)) {
    ASSIGN_OR_RETURN(out.model, TextOf(*model, "model"));
  }
  if (const Value* layer = kind->Find(3)) {
    ASSIGN_OR_RETURN(out.layer, NumberOf(*layer, "layer"));
  }
  if (const Value* index = kind->Find(4)) {
    ASSIGN_OR_RETURN(out.index, NumberOf(*index, "index"));
  }
  return out;
}

Result<ReferenceTriple> ReadTriple(const Value& value) {
  if (!value.Is(Kind::kArray) || value.items.size() != 2)
    return Bad(value, "a reference triple is not an array of two");
  ReferenceTriple out;
  ASSIGN_OR_RETURN(out.environment, ReadEnvironment(value.items[0]));
  const Value& list = value.items[1];
  if (!list.Is(Kind::kArray) || list.items.empty()) return Bad(list, "a reference triple has no measurements");
  for (const Value& item : list.items) {
    ASSIGN_OR_RETURN(ReferenceMeasurement measurement, ReadMeasurement(item));
    out.measurements.push_back(std::move(measurement));
  }
  return out;
}

Status ReadTriples(const Value& map, ReferenceTag& tag, size_t& ignored) {
  if (!map.Is(Kind::kMap)) return Bad(map, "triples is not a map");
  for (size_t i = 0; i < map.items.size(); i += 2) {
    const Value &key = map.items[i], &list = map.items[i + 1];
    if (!key.Is(Kind::kUnsigned) || key.number > kLastKnownTriples)
      return Unsupported(key, "triples of a kind that this program does not know");
    if (!list.Is(Kind::kArray) || list.items.empty()) return Bad(list, "triples is not a list");
    if (key.number != kReferenceTriples) {
      ignored += list.items.size();
      continue;
    }
    for (const Value& item : list.items) {
      ASSIGN_OR_RETURN(ReferenceTriple triple, ReadTriple(item));
      tag.triples.push_back(std::move(triple));
    }
  }
  return Ok();
}

Result<ReferenceTag> ReadComid(ByteView bytes, size_t& ignored) {
  ASSIGN_OR_RETURN(const Value map, cbor::Decode(bytes));
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1, 2, 3, 4}, "a CoMID"));
  const Value *identity = map.Find(1), *triples = map.Find(4);
  if (!identity || !triples) return Bad(map, "a CoMID lacks its identity or its triples");
  // A linked tag (3) replaces or supplements another one; without that one nothing follows from it.
  if (const Value* linked = map.Find(3))
    return Unsupported(*linked, "a CoMID that replaces or supplements another one");
  RETURN_IF_ERROR(OnlyKeys(*identity, {0, 1}, "a CoMID's identity"));
  const Value* id = identity->Find(int64_t{0});
  if (!id) return Bad(*identity, "a CoMID has no id");
  ReferenceTag out;
  ASSIGN_OR_RETURN(out.id, TagId(*id, "a CoMID's id"));
  if (const Value* version = identity->Find(1)) {
    ASSIGN_OR_RETURN(out.version, NumberOf(*version, "a CoMID's version"));
  }
  RETURN_IF_ERROR(ReadTriples(*triples, out, ignored));
  return out;
}

Status ReadTags(const Value& list, ReferenceValues& out) {
  if (!list.Is(Kind::kArray) || list.items.empty()) return Bad(list, "a CoRIM has no tags");
  std::set<std::string> ids;
  for (const Value& item : list.items) {
    if (!item.Is(Kind::kTag) || !item.items[0].Is(Kind::kBytes)) return Bad(item, "is not a tagged byte string");
    if (item.number == kCoswidTag) {
      ++out.ignored_tags;
      continue;
    }
    if (item.number != kComidTag) return Unsupported(item, "a tag that is neither a CoMID (506) nor a CoSWID (505)");
    const Value& bytes = item.items[0];
    auto tag = ReadComid(bytes.content, out.ignored_triples);
    if (!tag.ok()) {
      const size_t start = bytes.offset + bytes.length - bytes.content.size();
      return tag.error().In("CoMID at byte " + std::to_string(start));
    }
    if (!ids.insert(tag->id).second) return Bad(item, "the CoMID " + tag->id + " is there twice");
    out.tags.push_back(std::move(*tag));
  }
  return Ok();
}

}  // namespace

Result<ReferenceValues> ParseCorim(ByteView document) {
  if (document.size() > kMaxCorimSize) return Err("corim.malformed", "CoRIM", "is larger than 4 MiB");
  ASSIGN_OR_RETURN(const Value whole, cbor::Decode(document));
  if (!whole.IsTag(kCorimTag)) return Bad(whole, "is not a CoRIM (tag 501)");
  const Value& map = whole.items[0];
  // 2 are dependent RIMs: what depends on documents that nobody fetched must not be believed.
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1, 3, 4, 5}, "a CoRIM"));
  ReferenceValues out;
  const Value *id = map.Find(int64_t{0}), *tags = map.Find(1);
  if (!id || !tags) return Bad(map, "a CoRIM lacks its id or its tags");
  ASSIGN_OR_RETURN(out.id, TagId(*id, "a CoRIM's id"));
  if (const Value* profile = map.Find(3)) {
    if (profile->IsTag(kUriTag) && profile->items[0].Is(Kind::kText)) out.profile = profile->items[0].Text();
    else if (auto oid = TypedId(*profile); oid && profile->number == kOidTag) out.profile = *oid;
    else return Bad(*profile, "the profile is neither a URI nor an OID");
  }
  if (const Value* validity = map.Find(4)) RETURN_IF_ERROR(ReadValidity(*validity, out.not_before, out.not_after));
  RETURN_IF_ERROR(ReadTags(*tags, out));
  return out;
}

Result<CorimMeta> ParseCorimMeta(ByteView document) {
  ASSIGN_OR_RETURN(const Value map, cbor::Decode(document));
  RETURN_IF_ERROR(OnlyKeys(map, {0, 1}, "the signer's header"));
  CorimMeta out;
  const Value* signer = map.Find(int64_t{0});
  if (!signer) return Bad(map, "the signer's header names no signer");
  RETURN_IF_ERROR(OnlyKeys(*signer, {0, 1}, "the signer"));
  const Value* name = signer->Find(int64_t{0});
  if (!name) return Bad(*signer, "the signer has no name");
  ASSIGN_OR_RETURN(out.signer, TextOf(*name, "the signer's name"));
  if (const Value* validity = map.Find(1)) RETURN_IF_ERROR(ReadValidity(*validity, out.not_before, out.not_after));
  return out;
}

}  // namespace ccgpu::evidence
