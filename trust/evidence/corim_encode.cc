#include <algorithm>

#include "base/encoding.h"
#include "trust/evidence/corim.h"

namespace ccgpu::evidence {
namespace {

void Time(cbor::Writer& out, TimePoint time) { out.Tag(1).Integer(time.time_since_epoch().count()); }

void Validity(cbor::Writer& out, const std::optional<TimePoint>& from, const std::optional<TimePoint>& to) {
  out.Map(1u + from.has_value());
  if (from) Time(out.Unsigned(0), *from);
  Time(out.Unsigned(1), *to);
}

// The tag and bytes of "uuid:.." and the like; false for other text.
bool Typed(cbor::Writer& out, std::string_view id) {
  for (const auto& [prefix, tag] :
       {std::pair<std::string_view, uint64_t>("uuid:", 37), {"oid:", 111}, {"bytes:", 560}, {"psa:", 600}}) {
    if (!id.starts_with(prefix)) continue;
    const auto bytes = HexDecode(id.substr(prefix.size()));
    if (!bytes.ok()) return false;
    out.Tag(tag).ByteString(*bytes);
    return true;
  }
  return false;
}

void Key(cbor::Writer& out, const std::string& key) {
  const bool number = key.size() < 19 && !key.empty() && (key[0] != '0' || key.size() == 1) &&
                      std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number) out.Unsigned(std::stoull(key));
  else if (!Typed(out, key)) out.Text(key);
}

int HashId(crypto::Hash hash) { return hash == crypto::Hash::kSha256 ? 1 : hash == crypto::Hash::kSha384 ? 7 : 8; }

void Measurement(cbor::Writer& out, const ReferenceMeasurement& m) {
  out.Map(1u + !m.key.empty());
  if (!m.key.empty()) Key(out.Unsigned(0), m.key);
  const bool svn = m.svn || m.minimum_svn;
  out.Unsigned(1).Map(0u + !m.version.empty() + svn + !m.digests.empty() + !m.name.empty());
  if (!m.version.empty()) out.Unsigned(0).Map(1).Unsigned(0).Text(m.version);
  if (m.minimum_svn) out.Unsigned(1).Tag(553).Unsigned(*m.minimum_svn);
  else if (m.svn) out.Unsigned(1).Tag(552).Unsigned(*m.svn);
  if (!m.digests.empty()) {
    size_t count = 0;
    for (const auto& [hash, list] : m.digests) count += list.size();
    out.Unsigned(2).Array(count);
    for (const auto& [hash, list] : m.digests) {
      for (const Bytes& digest : list) out.Array(2).Integer(HashId(hash)).ByteString(digest);
    }
  }
  if (!m.name.empty()) out.Unsigned(11).Text(m.name);
}

void Environment(cbor::Writer& out, const ReferenceEnvironment& e) {
  out.Map(1).Unsigned(0).Map(0u + !e.class_id.empty() + !e.vendor.empty() + !e.model.empty() + e.layer.has_value() +
                             e.index.has_value());
  if (!e.class_id.empty()) Typed(out.Unsigned(0), e.class_id);
  if (!e.vendor.empty()) out.Unsigned(1).Text(e.vendor);
  if (!e.model.empty()) out.Unsigned(2).Text(e.model);
  if (e.layer) out.Unsigned(3).Unsigned(*e.layer);
  if (e.index) out.Unsigned(4).Unsigned(*e.index);
}

Bytes Comid(const ReferenceTag& tag) {
  cbor::Writer out;
  out.Map(2).Unsigned(1).Map(2).Unsigned(0);
  if (!Typed(out, tag.id)) out.Text(tag.id);
  out.Unsigned(1).Unsigned(tag.version).Unsigned(4).Map(1).Unsigned(0).Array(tag.triples.size());
  for (const ReferenceTriple& triple : tag.triples) {
    out.Array(2);
    Environment(out, triple.environment);
    out.Array(triple.measurements.size());
    for (const ReferenceMeasurement& m : triple.measurements) Measurement(out, m);
  }
  return out.Finish();
}

}  // namespace

Bytes EncodeCorim(const ReferenceValues& values) {
  cbor::Writer out;
  out.Tag(501).Map(2u + !values.profile.empty() + values.not_after.has_value()).Unsigned(0);
  if (!Typed(out, values.id)) out.Text(values.id);
  out.Unsigned(1).Array(values.tags.size());
  for (const ReferenceTag& tag : values.tags) out.Tag(506).ByteString(Comid(tag));
  if (!values.profile.empty()) out.Unsigned(3).Tag(32).Text(values.profile);
  if (values.not_after) Validity(out.Unsigned(4), values.not_before, values.not_after);
  return out.Finish();
}

Bytes EncodeCorimMeta(const CorimMeta& meta) {
  cbor::Writer out;
  out.Map(1u + meta.not_after.has_value()).Unsigned(0).Map(1).Unsigned(0).Text(meta.signer);
  if (meta.not_after) Validity(out.Unsigned(1), meta.not_before, meta.not_after);
  return out.Finish();
}

}  // namespace ccgpu::evidence
