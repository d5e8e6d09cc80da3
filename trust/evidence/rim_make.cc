#include <algorithm>

#include "base/encoding.h"
#include "trust/evidence/rim.h"
#include "trust/evidence/rim_names.h"
#include "trust/evidence/xml.h"

namespace ccgpu::evidence {
namespace {

constexpr int kResources = 64;
constexpr size_t kLine = 64;

Error Bad(std::string text) { return Err("rim.malformed", "RIM to be made", std::move(text)); }

// Attribute values are written as they are, so only characters that need no escaping may be in them.
bool Plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '<' && c != '>' && c != '&' && c != '"' && c != '\'';
  });
}

std::string Quoted(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + std::string(value) + "\"";
}

std::string Resource(int index, const RimMeasurement* given) {
  const std::vector<Bytes> none = {Bytes(48)};
  const std::vector<Bytes>& hashes = given && !given->alternatives.empty() ? given->alternatives : none;
  std::string out = "        <ns0:Resource type=\"Measurement\"" + Quoted("index", std::to_string(index)) +
                    Quoted("active", given && given->active ? "True" : "False") +
                    Quoted("alternatives", std::to_string(hashes.size()));
  for (size_t i = 0; i < hashes.size(); ++i) out += Quoted("ns2:Hash" + std::to_string(i), HexEncode(hashes[i]));
  return out + Quoted("name", given && !given->name.empty() ? given->name : "Measurement_" + std::to_string(index)) +
         " size=\"48\"/>\n";
}

// NVIDIA's verifiers build PEM by joining strings, so that the text must be in lines and end with one.
std::string CertificateText(const crypto::Certificate& certificate) {
  const std::string text = Base64Encode(certificate.Der());
  std::string out = "<ds:X509Certificate>";
  for (size_t at = 0; at < text.size(); at += kLine) out += text.substr(at, kLine) + "\n";
  return out + "</ds:X509Certificate>";
}

std::string SignatureText(const std::string& digest, const std::string& value,
                          const std::vector<crypto::Certificate>& chain) {
  const auto algorithm = [](std::string_view name, std::string_view url) {
    return "<ds:" + std::string(name) + Quoted("Algorithm", url) + "/>";
  };
  std::string out = "<ds:Signature" + Quoted("xmlns:ds", kDsigNs) + "><ds:SignedInfo>" +
                    algorithm("CanonicalizationMethod", kC14n) + algorithm("SignatureMethod", kEcdsaSha384) +
                    "<ds:Reference URI=\"\"><ds:Transforms>" + algorithm("Transform", kEnveloped) +
                    algorithm("Transform", kC14n) + "</ds:Transforms>" + algorithm("DigestMethod", kSha384Url) +
                    "<ds:DigestValue>" + digest +
                    "</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>" + value +
                    "</ds:SignatureValue><ds:KeyInfo><ds:X509Data>";
  for (const auto& certificate : chain) out += CertificateText(certificate);
  return out + "</ds:X509Data></ds:KeyInfo></ds:Signature>";
}

std::string Head(const Rim& spec, const std::string& tag_id) {
  return "<SoftwareIdentity" + Quoted("xmlns", kSwidNs) + Quoted("xmlns:ns0", kSwidNs) + Quoted("xmlns:ns2", kHashNs) +
         " corpus=\"false\"" + Quoted("name", spec.name) + " patch=\"false\" supplemental=\"false\"" +
         Quoted("tagId", tag_id) + " version=\"1.0\" tagVersion=\"0\">\n    <ns0:Entity" +
         Quoted("name", spec.manufacturer) + " role=\"softwareCreator tagCreator\"/>\n    <ns0:Meta" +
         Quoted("xmlns:ns1", kRimNs) + Quoted("colloquialVersion", spec.colloquial_version) +
         Quoted("edition", spec.edition) + Quoted("product", spec.product) +
         " revision=\"r1\" PayloadType=\"direct\" ns1:BindingSpec=\"RIMIM\" ns1:BindingSpecVersion=\"1.01\"" +
         Quoted("ns1:PlatformManufacturerId", spec.manufacturer_id) +
         Quoted("ns1:PlatformManufacturerStr", spec.manufacturer) + Quoted("ns1:PlatformModel", spec.product) +
         Quoted("ns1:FirmwareManufacturer", spec.manufacturer) +
         Quoted("ns1:FirmwareManufacturerId", spec.manufacturer_id) + "/>\n    <ns0:Payload" +
         Quoted("xmlns:SHA384", kHashNs) + ">\n";
}

Status Check(const Rim& spec) {
  for (const std::string* text : {&spec.tag_id, &spec.name, &spec.colloquial_version, &spec.edition, &spec.product,
                                  &spec.manufacturer, &spec.manufacturer_id}) {
    if (!Plain(*text)) return Bad("\"" + *text + "\" has characters that would need escaping");
  }
  for (const RimMeasurement& m : spec.measurements) {
    const bool sizes =
        std::all_of(m.alternatives.begin(), m.alternatives.end(), [](const Bytes& b) { return b.size() == 48; });
    if (m.index >= kResources || !sizes || !Plain(m.name))
      return Bad("measurement " + std::to_string(m.index) + " cannot be written (index below 64, hashes of 48 bytes)");
  }
  return Ok();
}

}  // namespace

Result<std::string> MakeRim(const Rim& spec, const crypto::PrivateKey& signer,
                            const std::vector<crypto::Certificate>& leaf_first) {
  RETURN_IF_ERROR(Check(spec));
  std::string resources;
  for (int index = 0; index < kResources; ++index) resources += Resource(index, spec.Find(static_cast<uint8_t>(index)));
  const std::string tag_id =
      spec.tag_id.empty() ? HexEncode(crypto::Sha384(AsBytes(spec.colloquial_version + resources))) : spec.tag_id;
  const std::string body = Head(spec, tag_id) + resources + "    </ns0:Payload>\n";
  const auto document = [&](const std::string& digest, const std::string& value) {
    return body + SignatureText(digest, value, leaf_first) + "</SoftwareIdentity>\n";
  };

  // The digest is of the document without its signature, so values of the right size stand in for the real ones.
  ASSIGN_OR_RETURN(const Rim unsigned_rim, ParseRim(document(Base64Encode(Bytes(48)), Base64Encode(Bytes(96)))));
  const std::string digest = Base64Encode(unsigned_rim.document_digest);
  ASSIGN_OR_RETURN(const Rim digested, ParseRim(document(digest, Base64Encode(Bytes(96)))));
  return document(digest, Base64Encode(signer.SignRaw(crypto::Hash::kSha384, digested.signed_info)));
}

}  // namespace ccgpu::evidence
