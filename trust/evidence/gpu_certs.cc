#include "trust/evidence/gpu_certs.h"

#include <openssl/bn.h>

#include <memory>

#include "trust/evidence/der.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kFwidSize = 48;
constexpr uint8_t kSha384Oid[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};  // 2.16.840.1.101.3.4.2.2
constexpr uint8_t kDmtfDeviceInfoOid[] = {0x2b, 0x06, 0x01, 0x04, 0x01,
                                          0x83, 0x1c, 0x82, 0x12, 0x01};  // 1.3.6.1.4.1.412.274.1
constexpr uint8_t kContext0 = 0xa0, kTcbFwids = 0xa6;

Error Bad(std::string text) { return Err("gpu.chain-profile", "device certificate", std::move(text)); }

// SEQUENCE { OID sha384, OCTET STRING fwid }.
Result<Bytes> TakeFwid(ByteView& in) {
  ASSIGN_OR_RETURN(ByteView pair, der::Take(in, der::kSequence));
  ASSIGN_OR_RETURN(const ByteView oid, der::Take(pair, der::kOid));
  ASSIGN_OR_RETURN(const ByteView fwid, der::Take(pair, der::kOctetString));
  if (!Equal(oid, kSha384Oid) || fwid.size() != kFwidSize || !pair.empty())
    return Bad("its FWID is not a SHA-384 value");
  return ToBytes(fwid);
}

// SEQUENCE { INTEGER 1, SubjectPublicKeyInfo, fwid }.
Result<Bytes> CompositeDeviceFwid(ByteView value) {
  ASSIGN_OR_RETURN(ByteView outer, der::Take(value, der::kSequence));
  ASSIGN_OR_RETURN(const uint64_t version, der::TakeInteger(outer));
  ASSIGN_OR_RETURN(const ByteView key, der::Take(outer, der::kSequence));
  ASSIGN_OR_RETURN(Bytes fwid, TakeFwid(outer));
  if (version != 1 || key.empty() || !outer.empty() || !value.empty())
    return Bad("its CompositeDeviceID is not version 1");
  return fwid;
}

// DiceTcbInfo: implicitly tagged fields in ascending order; [6] holds the FWIDs, the first one counts.
Result<Bytes> TcbInfoFwid(ByteView value) {
  ASSIGN_OR_RETURN(ByteView fields, der::Take(value, der::kSequence));
  if (!value.empty()) return Bad("its DiceTcbInfo has something behind it");
  std::optional<Bytes> fwid;
  int last = -1;
  while (!fields.empty()) {
    const uint8_t tag = fields[0];
    ASSIGN_OR_RETURN(ByteView content, der::Take(fields, tag));
    // The number without the bit that says whether it is constructed.
    const int number = tag & 0x1f;
    if ((tag & 0xc0) != 0x80 || number <= last) return Bad("the fields of its DiceTcbInfo are not in ascending order");
    last = number;
    if (tag != kTcbFwids) continue;
    ASSIGN_OR_RETURN(fwid, TakeFwid(content));
    while (!content.empty()) RETURN_IF_ERROR(TakeFwid(content));
  }
  if (!fwid) return Bad("its DiceTcbInfo has no FWID");
  return *fwid;
}

}  // namespace

Result<Bytes> LeafFwid(const crypto::Certificate& leaf) {
  bool twice_composite = false, twice_tcb = false;
  const auto composite = leaf.Extension(kOidCompositeDeviceId, &twice_composite);
  const auto tcb = leaf.Extension(kOidDiceTcbInfo, &twice_tcb);
  if (twice_composite || twice_tcb || (composite && tcb)) return Bad("it has more than one FWID extension");
  if (!composite && !tcb) return Bad("it has no FWID extension (2.23.133.5.4.1 or 2.23.133.5.4.1.1)");
  Result<Bytes> fwid = composite ? CompositeDeviceFwid(*composite) : TcbInfoFwid(*tcb);
  return fwid.ok() ? std::move(fwid) : Result<Bytes>(Bad(fwid.error().text));
}

Bytes MakeFwidExtension(const crypto::PublicKey& identity_key, ByteView fwid) {
  const Bytes oid = der::Element(der::kOid, ByteView(kSha384Oid)), value = der::Element(der::kOctetString, fwid);
  const Bytes pair = der::Element(der::kSequence, {oid, value});
  return der::Element(der::kSequence, {der::Integer(1), identity_key.Der(), pair});
}

Bytes MakeDeviceInfoSan(std::string_view text) {
  const Bytes oid = der::Element(der::kOid, ByteView(kDmtfDeviceInfoOid));
  const Bytes value = der::Element(kContext0, der::Element(der::kUtf8, AsBytes(text)));
  return der::Element(der::kSequence, der::Element(kContext0, {oid, value}));
}

std::string Ueid(const crypto::Certificate& leaf) {
  const Bytes serial = leaf.SerialNumber();
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr), BN_free);
  char* text = BN_bn2dec(number.get());
  std::string out(text);
  OPENSSL_free(text);
  return out;
}

uint8_t IdentityKind(const crypto::Certificate& identity) { return identity.SerialNumber().at(0); }

Result<Bytes> DevicePdi(const crypto::Certificate& identity) {
  const Bytes serial = identity.SerialNumber();
  if (serial.size() != 9)
    return Bad("its identity's serial number has " + std::to_string(serial.size()) +
               " bytes, expected a type byte and 8 bytes of PDI");
  return Bytes(serial.begin() + 1, serial.end());
}

std::string ChainPem(const std::vector<crypto::Certificate>& leaf_first) {
  std::string out;
  for (const auto& certificate : leaf_first) out += certificate.Pem();
  return out;
}

}  // namespace ccgpu::evidence
