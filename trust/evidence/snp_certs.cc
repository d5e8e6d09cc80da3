#include "trust/evidence/snp_certs.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/encoding.h"
#include "trust/evidence/der.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kEntrySize = 24, kMaxTableSize = 64 << 10;
constexpr std::string_view kOid = "1.3.6.1.4.1.3704.1.";

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kGuids = {{
    {"VCEK", "63da758d-e664-4564-adc5-f4b93be8accd"},
    {"VLEK", "a8074bc2-a25a-483e-aae6-39c045a0b8a1"},
    {"ASK", "4ab7b379-bbac-4fe4-a02f-05aef327c782"},
    {"ARK", "c0b406a4-a803-4952-9743-3fb6014cd0ae"},
}};

Error BadTable(std::string text) { return Err("evidence.malformed", "SNP certificate table", std::move(text)); }
Error BadCert(std::string text) { return Err("snp.chain-profile", "VCEK", std::move(text)); }

// The bytes of a GUID stand in the order of its text (RFC 4122), as AMD's hosts write them; not in EFI's order.
std::string GuidText(ByteView bytes) {
  const std::string hex = HexEncode(bytes);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

Bytes GuidOf(std::string_view type) {
  for (const auto& [name, guid] : kGuids) {
    if (name == type) type = guid;
  }
  std::string hex;
  for (char c : type) {
    if (c != '-') hex += c;
  }
  const auto bytes = HexDecode(hex);
  return bytes.ok() && bytes->size() == 16 ? *bytes : Bytes(16);
}

std::string TypeOf(ByteView guid) {
  const std::string text = GuidText(guid);
  for (const auto& [name, known] : kGuids) {
    if (known == text) return std::string(name);
  }
  return text;
}

Result<std::optional<uint8_t>> Spl(const crypto::Certificate& certificate, const std::string& suffix) {
  bool twice = false;
  const auto value = certificate.Extension(std::string(kOid) + suffix, &twice);
  if (twice) return BadCert("extension " + suffix + " is there twice");
  if (!value) return std::optional<uint8_t>();
  ByteView rest = *value;
  ASSIGN_OR_RETURN(const uint64_t number, der::TakeInteger(rest));
  if (number > 255 || !rest.empty()) return BadCert("extension " + suffix + " is not a number up to 255");
  return std::optional<uint8_t>(static_cast<uint8_t>(number));
}

Result<uint8_t> RequiredSpl(const crypto::Certificate& certificate, const std::string& suffix) {
  ASSIGN_OR_RETURN(const std::optional<uint8_t> value, Spl(certificate, suffix));
  if (!value) return BadCert("extension 1.3.6.1.4.1.3704.1." + suffix + " is missing");
  return *value;
}

Result<std::optional<std::string>> Text(const crypto::Certificate& certificate, const std::string& suffix) {
  bool twice = false;
  const auto value = certificate.Extension(std::string(kOid) + suffix, &twice);
  if (twice) return BadCert("extension " + suffix + " is there twice");
  if (!value) return std::optional<std::string>();
  ByteView rest = *value;
  const uint8_t tag = rest.empty() ? 0 : rest[0];
  if (tag != der::kIa5 && tag != der::kUtf8) return BadCert("extension " + suffix + " is not a string");
  ASSIGN_OR_RETURN(const ByteView text, der::Take(rest, tag));
  if (!rest.empty()) return BadCert("extension " + suffix + " has bytes after its string");
  return std::optional<std::string>(ToText(text));
}

}  // namespace

Result<std::vector<SnpCertificate>> ParseCertTable(ByteView table) {
  std::vector<SnpCertificate> out;
  if (table.size() > kMaxTableSize) return BadTable("is larger than 64 KiB");
  for (Reader in(table);;) {
    const ByteView guid = in.Take(16);
    const size_t offset = in.U32(), size = in.U32();
    if (!in.ok()) return BadTable("has no closing zero entry");
    if (std::all_of(guid.begin(), guid.end(), [](uint8_t b) { return b == 0; })) break;
    if (out.size() == 16) return BadTable("has more than 16 entries");
    if (offset > table.size() || size > table.size() - offset)
      return BadTable("entry " + std::to_string(out.size()) + " points past the end");
    out.push_back({TypeOf(guid), ToBytes(table.subspan(offset, size))});
  }
  return out;
}

Bytes EncodeCertTable(const std::vector<SnpCertificate>& certificates) {
  Writer head;
  Bytes data;
  const size_t head_size = (certificates.size() + 1) * kEntrySize;
  for (const SnpCertificate& certificate : certificates) {
    head.Raw(GuidOf(certificate.type)).U32(head_size + data.size()).U32(certificate.der.size());
    Append(data, certificate.der);
  }
  head.Zeros(kEntrySize).Raw(data);
  return std::move(head).Finish();
}

Result<VcekExtensions> ReadVcekExtensions(const crypto::Certificate& certificate) {
  VcekExtensions out;
  ASSIGN_OR_RETURN(const std::optional<std::string> product, Text(certificate, "2"));
  if (!product) return BadCert("the product name extension is missing");
  out.product = *product;
  ASSIGN_OR_RETURN(out.tcb.bootloader, RequiredSpl(certificate, "3.1"));
  ASSIGN_OR_RETURN(out.tcb.tee, RequiredSpl(certificate, "3.2"));
  ASSIGN_OR_RETURN(out.tcb.snp, RequiredSpl(certificate, "3.3"));
  ASSIGN_OR_RETURN(out.tcb.microcode, RequiredSpl(certificate, "3.8"));
  ASSIGN_OR_RETURN(out.tcb.fmc, Spl(certificate, "3.9"));
  // Parts that no report can express: one that is not zero certifies something that we do not know.
  for (const char* reserved : {"3.4", "3.5", "3.6", "3.7"}) {
    ASSIGN_OR_RETURN(const std::optional<uint8_t> value, Spl(certificate, reserved));
    if (value.value_or(0) != 0)
      return BadCert("the reserved TCB part " + std::string(reserved) + " is " + std::to_string(*value) +
                     ", expected 0");
  }
  ASSIGN_OR_RETURN(out.csp_id, Text(certificate, "5"));
  bool twice = false;
  const auto hardware_id = certificate.Extension(std::string(kOid) + "4", &twice);
  if (twice) return BadCert("the hardware id is there twice");
  if (hardware_id) {
    // AMD writes the raw octets; some tools wrap them as an OCTET STRING.
    ByteView rest = *hardware_id;
    const size_t size = rest.size();
    if (size != 64 && size != 8) {
      ASSIGN_OR_RETURN(const ByteView inner, der::Take(rest, der::kOctetString));
      if (!rest.empty() || (inner.size() != 64 && inner.size() != 8))
        return BadCert("the hardware id is not 64 or 8 bytes");
      out.hardware_id = ToBytes(inner);
    } else {
      out.hardware_id = *hardware_id;
    }
  }
  return out;
}

std::vector<crypto::CertificateSpec::Extra> MakeVcekExtensions(const VcekExtensions& facts) {
  std::vector<crypto::CertificateSpec::Extra> out;
  const auto add = [&](std::string_view suffix, Bytes value) {
    out.push_back({std::string(kOid) + std::string(suffix), std::move(value), false});
  };
  add("1", der::Integer(1));
  add("2", der::Element(der::kIa5, AsBytes(facts.product)));
  if (facts.tcb.fmc) add("3.9", der::Integer(*facts.tcb.fmc));
  add("3.1", der::Integer(facts.tcb.bootloader));
  add("3.2", der::Integer(facts.tcb.tee));
  if (!facts.tcb.fmc) add("3.4", der::Integer(0));
  add("3.5", der::Integer(0));
  add("3.6", der::Integer(0));
  add("3.7", der::Integer(0));
  add("3.3", der::Integer(facts.tcb.snp));
  add("3.8", der::Integer(facts.tcb.microcode));
  if (facts.hardware_id) add("4", *facts.hardware_id);
  if (facts.csp_id) add("5", der::Element(der::kIa5, AsBytes(*facts.csp_id)));
  return out;
}

}  // namespace ccgpu::evidence
