// A reference manifest alone: what it says, and whether its vendor signed it.
#include <algorithm>

#include "base/encoding.h"
#include "cli/evidence/formats.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"
#include "trust/verify/gpu/rim.h"

namespace ccgpu::cli {
namespace {

// NVIDIA's service answers with JSON around the XML.
std::string XmlOf(const InputFile& file) {
  if (file.json.is_null()) return file.bytes;
  auto rim = collateral::RimOfAnswer(file.bytes, "");
  return rim.ok() ? rim->content : file.bytes;
}

}  // namespace

bool DetectRim(const InputFile& file) {
  if (file.json.is_object()) return file.json.contains("rim") && file.json.contains("id");
  const size_t at = file.bytes.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return at != std::string::npos && file.bytes[at] == '<' && file.bytes.find("SoftwareIdentity") != std::string::npos;
}

Result<OrderedJson> ShowRim(const EvidenceCase& files) {
  OrderedJson list = OrderedJson::array();
  for (const InputFile& file : files.evidence) {
    auto rim = evidence::ParseRim(XmlOf(file));
    if (!rim.ok()) return rim.error().In(file.path);
    OrderedJson one = {{"name", rim->name},       {"version", rim->colloquial_version},      {"product", rim->product},
                       {"edition", rim->edition}, {"manufacturer_id", rim->manufacturer_id}, {"tag_id", rim->tag_id}};
    one["measurements"] = OrderedJson::object();
    for (const evidence::RimMeasurement& m : rim->measurements) {
      if (!m.active) continue;
      OrderedJson values = OrderedJson::array();
      for (const Bytes& value : m.alternatives) values.push_back(HexEncode(value));
      one["measurements"][std::to_string(m.index)] = values;
    }
    one["certificates"] = OrderedJson::array();
    for (const crypto::Certificate& certificate : rim->chain)
      one["certificates"].push_back(CertificateJson(certificate));
    list.push_back(std::move(one));
  }
  return OrderedJson{{"format", "rim"}, {"rims", list}};
}

Result<Judgement> VerifyRim(const EvidenceCase& files, const Expectations& expect) {
  if (files.evidence.size() != 1)
    return Err("input.two-formats", files.evidence[1].path, "is a second manifest: one at a time");
  verify::RimOptions options;
  options.require_revocation = expect.policy.gpu.require_revocation;
  options.allow_hold = expect.policy.gpu.allow_hold;
  options.revocation_max_age = expect.policy.gpu.revocation_max_age;
  const std::string xml = XmlOf(files.evidence[0]);
  Judgement out;
  out.verdict = verify::VerifyRim(xml, collateral::ToCollateral(files.documents), expect.anchors, options, expect.at);
  out.documents["rim"] = ToBytes(AsBytes(xml));
  return out;
}

}  // namespace ccgpu::cli
