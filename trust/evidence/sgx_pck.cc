#include "trust/evidence/sgx_pck.h"

#include <algorithm>
#include <map>

#include "trust/evidence/der.h"

namespace ccgpu::evidence {
namespace {

// 1.2.840.113741.1.13.1
constexpr uint8_t kArc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
constexpr uint8_t kBoolean = 0x01, kEnumerated = 0x0a;
constexpr uint8_t kPpid = 1, kTcb = 2, kPceId = 3, kFmspc = 4, kSgxType = 5, kPlatformInstance = 6, kConfiguration = 7;
constexpr uint8_t kPceSvn = 17, kCpuSvn = 18;

Error Bad(std::string text) { return Err("evidence.malformed", kOidSgxExtensions, std::move(text)); }

// SEQUENCE OF SEQUENCE { OID below `arc`, value } -> last number of the OID -> the value's element, whole.
Result<std::map<uint8_t, ByteView>> ReadMembers(ByteView sequence, ByteView arc) {
  std::map<uint8_t, ByteView> out;
  while (!sequence.empty()) {
    ASSIGN_OR_RETURN(ByteView member, der::Take(sequence, der::kSequence));
    ASSIGN_OR_RETURN(const ByteView oid, der::Take(member, der::kOid));
    if (oid.size() != arc.size() + 1 || !Equal(oid.first(arc.size()), arc))
      return Bad("holds a member that is none of its own");
    if (!out.emplace(oid.back(), member).second) return Bad("holds member " + std::to_string(oid.back()) + " twice");
  }
  return out;
}

// The only element of a member.
Result<ByteView> Only(const std::map<uint8_t, ByteView>& members, uint8_t number, uint8_t tag) {
  const auto it = members.find(number);
  if (it == members.end()) return Bad("has no member " + std::to_string(number));
  ByteView rest = it->second;
  ASSIGN_OR_RETURN(const ByteView value, der::Take(rest, tag));
  if (!rest.empty()) return Bad("member " + std::to_string(number) + " has more than its value");
  return value;
}

Result<Bytes> Octets(const std::map<uint8_t, ByteView>& members, uint8_t number, size_t size) {
  ASSIGN_OR_RETURN(const ByteView value, Only(members, number, der::kOctetString));
  if (value.size() != size)
    return Bad("member " + std::to_string(number) + " has " + std::to_string(value.size()) + " bytes, not " +
               std::to_string(size));
  return ToBytes(value);
}

Result<uint64_t> Number(const std::map<uint8_t, ByteView>& members, uint8_t number, uint64_t most) {
  const auto it = members.find(number);
  if (it == members.end()) return Bad("has no TCB member " + std::to_string(number));
  ByteView rest = it->second;
  ASSIGN_OR_RETURN(const uint64_t value, der::TakeInteger(rest));
  if (!rest.empty() || value > most) return Bad("TCB member " + std::to_string(number) + " is out of its range");
  return value;
}

Status OnlyNumbers(const std::map<uint8_t, ByteView>& members, uint8_t last) {
  if (!members.empty() && (members.begin()->first < 1 || members.rbegin()->first > last))
    return Bad("holds a member that this version does not know");
  return Ok();
}

Status ReadTcb(ByteView sequence, PckExtensions& out) {
  const Bytes arc = Concat({kArc, Bytes{kTcb}});
  ASSIGN_OR_RETURN(const auto members, ReadMembers(sequence, arc));
  RETURN_IF_ERROR(OnlyNumbers(members, kCpuSvn));
  for (uint8_t i = 0; i < 16; ++i) {
    ASSIGN_OR_RETURN(const uint64_t svn, Number(members, static_cast<uint8_t>(i + 1), 255));
    out.components[i] = static_cast<uint8_t>(svn);
  }
  ASSIGN_OR_RETURN(const uint64_t pce_svn, Number(members, kPceSvn, 0xffff));
  out.pce_svn = static_cast<uint16_t>(pce_svn);
  ASSIGN_OR_RETURN(out.cpu_svn, Octets(members, kCpuSvn, 16));
  return Ok();
}

Status ReadConfiguration(ByteView sequence, PckExtensions& out) {
  const Bytes arc = Concat({kArc, Bytes{kConfiguration}});
  ASSIGN_OR_RETURN(const auto members, ReadMembers(sequence, arc));
  RETURN_IF_ERROR(OnlyNumbers(members, 3));
  std::optional<bool>* const flags[] = {&out.dynamic_platform, &out.cached_keys, &out.smt_enabled};
  for (const auto& [number, element] : members) {
    ASSIGN_OR_RETURN(const ByteView value, Only(members, number, kBoolean));
    if (value.size() != 1) return Bad("a flag of the configuration is no BOOLEAN");
    *flags[number - 1] = value[0] != 0;
  }
  return Ok();
}

Bytes Member(uint8_t number, ByteView element) {
  return der::Element(der::kSequence, {der::Element(der::kOid, Concat({kArc, Bytes{number}})), element});
}
Bytes Member(uint8_t parent, uint8_t number, ByteView element) {
  return der::Element(der::kSequence, {der::Element(der::kOid, Concat({kArc, Bytes{parent, number}})), element});
}

}  // namespace

Result<PckExtensions> ReadPckExtensions(const crypto::Certificate& certificate) {
  bool duplicate = false;
  const std::optional<Bytes> extension = certificate.Extension(kOidSgxExtensions, &duplicate);
  if (!extension) return Bad(duplicate ? "is there twice" : "is missing");
  ByteView rest = *extension;
  ASSIGN_OR_RETURN(const ByteView sequence, der::Take(rest, der::kSequence));
  if (!rest.empty()) return Bad("is followed by more bytes");
  ASSIGN_OR_RETURN(const auto members, ReadMembers(sequence, kArc));
  RETURN_IF_ERROR(OnlyNumbers(members, kConfiguration));
  PckExtensions out;
  ASSIGN_OR_RETURN(out.ppid, Octets(members, kPpid, 16));
  ASSIGN_OR_RETURN(const ByteView tcb, Only(members, kTcb, der::kSequence));
  RETURN_IF_ERROR(ReadTcb(tcb, out));
  ASSIGN_OR_RETURN(out.pce_id, Octets(members, kPceId, 2));
  ASSIGN_OR_RETURN(out.fmspc, Octets(members, kFmspc, 6));
  ASSIGN_OR_RETURN(const ByteView type, Only(members, kSgxType, kEnumerated));
  if (type.size() != 1) return Bad("the SGX type is out of its range");
  out.sgx_type = type[0];
  if (members.contains(kPlatformInstance)) {
    ASSIGN_OR_RETURN(out.platform_instance, Octets(members, kPlatformInstance, 16));
  }
  if (members.contains(kConfiguration)) {
    ASSIGN_OR_RETURN(const ByteView configuration, Only(members, kConfiguration, der::kSequence));
    RETURN_IF_ERROR(ReadConfiguration(configuration, out));
  }
  return out;
}

crypto::CertificateSpec::Extra MakePckExtension(const PckExtensions& facts) {
  const auto octets = [](ByteView bytes) { return der::Element(der::kOctetString, bytes); };
  Bytes tcb;
  for (uint8_t i = 0; i < 16; ++i)
    Append(tcb, Member(kTcb, static_cast<uint8_t>(i + 1), der::Integer(facts.components[i])));
  Append(tcb, Member(kTcb, kPceSvn, der::Integer(facts.pce_svn)));
  Append(tcb, Member(kTcb, kCpuSvn, octets(facts.cpu_svn)));
  Bytes all;
  Append(all, Member(kPpid, octets(facts.ppid)));
  Append(all, Member(kTcb, der::Element(der::kSequence, tcb)));
  Append(all, Member(kPceId, octets(facts.pce_id)));
  Append(all, Member(kFmspc, octets(facts.fmspc)));
  Append(all, Member(kSgxType, der::Element(kEnumerated, Bytes{facts.sgx_type})));
  if (facts.platform_instance) Append(all, Member(kPlatformInstance, octets(*facts.platform_instance)));
  Bytes flags;
  const std::optional<bool> values[] = {facts.dynamic_platform, facts.cached_keys, facts.smt_enabled};
  for (uint8_t i = 0; i < 3; ++i) {
    if (!values[i]) continue;
    const Bytes value = {static_cast<uint8_t>(*values[i] ? 0xff : 0)};
    Append(flags, Member(kConfiguration, static_cast<uint8_t>(i + 1), der::Element(kBoolean, value)));
  }
  if (!flags.empty()) Append(all, Member(kConfiguration, der::Element(der::kSequence, flags)));
  return {kOidSgxExtensions, der::Element(der::kSequence, all), false};
}

}  // namespace ccgpu::evidence
