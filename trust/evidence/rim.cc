#include "trust/evidence/rim.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "trust/evidence/rim_names.h"
#include "trust/evidence/xml.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kHashSize = 48, kMaxAlternatives = 64, kMaxChain = 8;

Error Bad(std::string text) { return Err("rim.malformed", "RIM", std::move(text)); }
Error BadSignature(std::string text) { return Err("rim.signature-profile", "RIM", std::move(text)); }

Result<Bytes> Base64Text(const xmlNode* node) {
  std::string text;
  for (char c : xml::Text(node)) {
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') text += c;
  }
  return Base64Decode(text);
}

std::optional<unsigned> Number(const std::string& text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || value > most) return std::nullopt;
  return value;
}

// One <Resource type="Measurement" index active alternatives Hash0.. name size/>.
Result<RimMeasurement> ReadResource(const xmlNode* node) {
  if (!xml::Is(node, "Resource", kSwidNs) || xml::Attribute(node, "type") != "Measurement")
    return Bad("its payload holds something that is not a Measurement resource");
  for (const xmlAttr* at = node->properties; at; at = at->next) {
    if (at->ns && kOpaqueNs == reinterpret_cast<const char*>(at->ns->href)) {
      return Err("rim.opaque-record", "RIM",
                 "resource " + xml::Attribute(node, "index") +
                     " is a reference value for opaque data, which this version cannot judge");
    }
  }
  const auto index = Number(xml::Attribute(node, "index"), 63);
  const auto count = Number(xml::Attribute(node, "alternatives"), kMaxAlternatives);
  if (!index || !count || *count == 0)
    return Bad("a resource's index (0 to 63) or alternatives (1 to 64) is not a number in range");
  RimMeasurement out;
  out.index = static_cast<uint8_t>(*index);
  out.name = xml::Attribute(node, "name");
  const std::string where = "resource " + std::to_string(*index);
  const std::string active = xml::Attribute(node, "active");
  if (active != "True" && active != "False")
    return Bad(where + ": active is \"" + active + "\", expected True or False");
  out.active = active == "True";
  if (xml::Attribute(node, "size") != "48") return Bad(where + ": size is not 48");
  for (unsigned i = 0; i < *count; ++i) {
    const auto hash = HexDecode(xml::Attribute(node, "Hash" + std::to_string(i), kHashNs));
    if (!hash.ok() || hash->size() != kHashSize)
      return Bad(where + ": Hash" + std::to_string(i) + " is not 48 bytes in hexadecimal");
    out.alternatives.push_back(*hash);
  }
  // type, index, active, alternatives, name, size and the hashes: nothing else may look like one more alternative.
  if (xml::AttributeCount(node) != 6 + *count)
    return Bad(where + ": has attributes besides the known ones and its " + std::to_string(*count) + " hashes");
  return out;
}

Status ReadContent(const std::vector<xmlNode*>& children, Rim& out) {
  const xmlNode *entity = nullptr, *meta = nullptr, *payload = nullptr;
  for (const xmlNode* child : children) {
    for (auto [name, slot] : {std::pair("Entity", &entity), std::pair("Meta", &meta), std::pair("Payload", &payload)}) {
      if (!xml::Is(child, name, kSwidNs)) continue;
      if (*slot) return Bad(std::string("has more than one ") + name);
      *slot = child;
    }
  }
  if (!entity || !meta || !payload) return Bad("lacks its Entity, Meta or Payload");
  out.manufacturer = xml::Attribute(entity, "name");
  out.colloquial_version = xml::Attribute(meta, "colloquialVersion");
  out.edition = xml::Attribute(meta, "edition");
  out.product = xml::Attribute(meta, "product");
  out.manufacturer_id = xml::Attribute(meta, "FirmwareManufacturerId", kRimNs);
  for (const xmlNode* node : xml::Elements(payload)) {
    ASSIGN_OR_RETURN(RimMeasurement measurement, ReadResource(node));
    if (out.Find(measurement.index)) return Bad("resource " + std::to_string(measurement.index) + " is there twice");
    out.measurements.push_back(std::move(measurement));
  }
  if (out.measurements.empty()) return Bad("its payload is empty");
  std::sort(out.measurements.begin(), out.measurements.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return Ok();
}

// <Name Algorithm="url"/> without children.
bool IsAlgorithm(const xmlNode* node, std::string_view name, std::string_view url) {
  return xml::Is(node, name, kDsigNs) && xml::Attribute(node, "Algorithm") == url && xml::AttributeCount(node) == 1 &&
         xml::Elements(node).empty();
}

// Exactly one Reference over the whole document, by exactly the two transforms.
Status ReadSignedInfo(const xmlNode* signed_info, Rim& out) {
  const auto parts = xml::Elements(signed_info);
  if (parts.size() != 3 || !IsAlgorithm(parts[0], "CanonicalizationMethod", kC14n))
    return BadSignature("its SignedInfo is not canonicalised by c14n 1.1");
  if (!IsAlgorithm(parts[1], "SignatureMethod", kEcdsaSha384))
    return BadSignature("its signature method is not ECDSA with SHA-384");
  const xmlNode* reference = parts[2];
  bool has_uri = false;
  for (const xmlAttr* at = reference->properties; at; at = at->next)
    has_uri |= std::string_view(reinterpret_cast<const char*>(at->name)) == "URI";
  if (!xml::Is(reference, "Reference", kDsigNs) || !has_uri || xml::AttributeCount(reference) != 1 ||
      !xml::Attribute(reference, "URI").empty()) {
    return BadSignature("its Reference is not to the whole document (URI \"\")");
  }
  const auto pieces = xml::Elements(reference);
  if (pieces.size() != 3 || !xml::Is(pieces[0], "Transforms", kDsigNs))
    return BadSignature("its Reference does not hold Transforms, DigestMethod, DigestValue");
  const auto transforms = xml::Elements(pieces[0]);
  if (transforms.size() != 2 || !IsAlgorithm(transforms[0], "Transform", kEnveloped) ||
      !IsAlgorithm(transforms[1], "Transform", kC14n)) {
    return BadSignature("its transforms are not enveloped-signature and c14n 1.1");
  }
  if (!IsAlgorithm(pieces[1], "DigestMethod", kSha384Url) || !xml::Is(pieces[2], "DigestValue", kDsigNs))
    return BadSignature("its digest is not SHA-384");
  auto digest = Base64Text(pieces[2]);
  if (!digest.ok() || digest->size() != kHashSize) return BadSignature("its DigestValue is not 48 bytes in base64");
  out.claimed_digest = std::move(*digest);
  return Ok();
}

Status ReadKeyInfo(const xmlNode* key_info, Rim& out) {
  const auto data = xml::Elements(key_info);
  if (data.size() != 1 || !xml::Is(data[0], "X509Data", kDsigNs))
    return BadSignature("its KeyInfo is not one X509Data");
  for (const xmlNode* node : xml::Elements(data[0])) {
    const auto der = Base64Text(node);
    if (!xml::Is(node, "X509Certificate", kDsigNs) || !der.ok() || out.chain.size() == kMaxChain)
      return BadSignature("its X509Data does not hold up to 8 certificates");
    auto certificate = crypto::Certificate::FromDer(*der);
    if (!certificate.ok()) return BadSignature("certificate " + std::to_string(out.chain.size()) + " cannot be read");
    out.chain.push_back(*certificate);
  }
  return out.chain.empty() ? Status(BadSignature("it embeds no certificate")) : Ok();
}

// Reads the signature, then takes it out of the tree and digests the rest.
Status ReadSignature(xmlDoc* doc, xmlNode* signature, Rim& out) {
  const auto parts = xml::Elements(signature);
  if (parts.size() != 3 || !xml::Is(parts[0], "SignedInfo", kDsigNs) || !xml::Is(parts[1], "SignatureValue", kDsigNs) ||
      !xml::Is(parts[2], "KeyInfo", kDsigNs)) {
    return BadSignature("its Signature does not hold SignedInfo, SignatureValue, KeyInfo");
  }
  RETURN_IF_ERROR(ReadSignedInfo(parts[0], out));
  RETURN_IF_ERROR(ReadKeyInfo(parts[2], out));
  auto value = Base64Text(parts[1]);
  if (!value.ok() || value->size() != 2 * kHashSize)
    return BadSignature("its SignatureValue is not 96 bytes in base64");
  out.signature = std::move(*value);
  ASSIGN_OR_RETURN(out.signed_info, xml::Canonical(doc, parts[0]));
  xmlUnlinkNode(signature);
  xmlFreeNode(signature);
  ASSIGN_OR_RETURN(const Bytes content, xml::Canonical(doc));
  out.document_digest = crypto::Sha384(content);
  return Ok();
}

}  // namespace

const RimMeasurement* Rim::Find(uint8_t index) const {
  const auto it =
      std::find_if(measurements.begin(), measurements.end(), [&](const RimMeasurement& m) { return m.index == index; });
  return it == measurements.end() ? nullptr : &*it;
}

Result<Rim> ParseRim(std::string_view text) {
  if (text.size() > kMaxRimSize) return Bad("is larger than 1 MiB");
  ASSIGN_OR_RETURN(const xml::DocPtr doc, xml::Parse(text));
  xmlNode* root = xmlDocGetRootElement(doc.get());
  if (!xml::Is(root, "SoftwareIdentity", kSwidNs)) return Bad("its root is not a SWID SoftwareIdentity");
  Rim out;
  out.tag_id = xml::Attribute(root, "tagId");
  out.name = xml::Attribute(root, "name");
  const auto children = xml::Elements(root);
  RETURN_IF_ERROR(ReadContent(children, out));
  xmlNode* signature = nullptr;
  for (xmlNode* child : children) {
    if (!xml::Is(child, "Signature", kDsigNs)) continue;
    if (signature) return BadSignature("it has more than one Signature");
    signature = child;
  }
  if (!signature) return BadSignature("it has no Signature");
  RETURN_IF_ERROR(ReadSignature(doc.get(), signature, out));
  return out;
}

bool VerifyRimSignature(const Rim& rim) {
  if (rim.chain.empty() || rim.document_digest.empty() || !Equal(rim.document_digest, rim.claimed_digest)) return false;
  const crypto::PublicKey key = rim.chain[0].key();
  return key.valid() && key.type() == crypto::KeyType::kP384 &&
         key.VerifyRaw(crypto::Hash::kSha384, rim.signed_info, rim.signature);
}

std::string DriverRimId(const OpaqueData& opaque) {
  const Bytes* info = opaque.Find(opaque_type::kGpuInfo);
  const bool blackwell = info && info->size() == 8 && (*info)[0] == 0xa0 && (*info)[1] == 0x01;
  // 0x170: GA100, which only our emulator attests; no vendor's RIM of that name exists.
  const bool ampere = info && info->size() == 8 && (*info)[0] == 0x70 && (*info)[1] == 0x01;
  if (!blackwell) return (ampere ? "NV_GPU_DRIVER_GA100_" : "NV_GPU_DRIVER_GH100_") + opaque.DriverVersion();
  const std::string chip = opaque.Text(opaque_type::kChipInfo);
  return "NV_GPU_CC_DRIVER_" + (chip.empty() ? "GB100" : chip) + "_" + opaque.DriverVersion();
}

namespace {
std::string WithoutDots(const std::string& version) {
  std::string out;
  for (char c : version) {
    if (c != '.') out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}
}  // namespace

std::string VbiosRimId(const OpaqueData& opaque) {
  return "NV_GPU_VBIOS_" + opaque.Project() + "_" + opaque.ProjectSku() + "_" + opaque.ChipSku() + "_" +
         WithoutDots(opaque.VbiosVersion());
}

std::string SwitchBiosRimId(const OpaqueData& opaque) {
  return "NV_SWITCH_BIOS_5612_0002_890_" + WithoutDots(opaque.VbiosVersion());
}

}  // namespace ccgpu::evidence
