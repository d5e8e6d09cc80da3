#include "trust/evidence/composite.h"

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::evidence {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kFormat = "ccgpu.evidence/v1";
constexpr size_t kMaxDevices = 64, kMaxDocuments = 256;

Error Bad(std::string where, std::string text) { return Err("evidence.malformed", std::move(where), std::move(text)); }

Status OnlyMembers(const Json& object, const std::set<std::string>& known, const std::string& where) {
  if (!object.is_object()) return Bad(where, "is not an object");
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) return Bad(where + "." + key, "is not a known member");
  }
  return Ok();
}

Result<std::string> OptionalString(const Json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return std::string();
  if (!it->is_string()) return Bad(where + "." + key, "is not a string");
  return it->get<std::string>();
}

Result<Bytes> Base64Member(const Json& object, const char* key, const std::string& where) {
  ASSIGN_OR_RETURN(const std::string text, OptionalString(object, key, where));
  auto bytes = Base64Decode(text);
  if (text.empty() || !bytes.ok()) return Bad(where + "." + key, "is not base64");
  return bytes;
}

bool IsHex(std::string_view text) {
  return text.size() % 2 == 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

Result<GpuEvidence> ReadDevice(const Json& item, const std::string& where) {
  RETURN_IF_ERROR(OnlyMembers(
      item, {"arch", "uuid", "evidence", "certificate", "nonce", "version", "driver_version", "vbios_version"}, where));
  GpuEvidence out;
  ASSIGN_OR_RETURN(out.arch, OptionalString(item, "arch", where));
  if (out.arch != "HOPPER" && out.arch != "BLACKWELL" && out.arch != "LS10" && out.arch != "AMPERE")
    return Bad(where + ".arch", "is \"" + out.arch + "\", expected HOPPER, BLACKWELL, AMPERE or LS10");
  ASSIGN_OR_RETURN(out.uuid, OptionalString(item, "uuid", where));
  ASSIGN_OR_RETURN(const std::string report, OptionalString(item, "evidence", where));
  auto bytes = IsHex(report) ? HexDecode(report)
                             : Base64Decode(report);  // a report is too long for base64 that is all hex digits
  if (report.empty() || !bytes.ok()) return Bad(where + ".evidence", "is neither base64 nor hexadecimal");
  out.report = std::move(*bytes);
  ASSIGN_OR_RETURN(const Bytes chain, Base64Member(item, "certificate", where));
  out.certificate_chain = ToText(chain);
  return out;
}

Result<std::vector<GpuEvidence>> ReadDevices(const Json& list, const std::string& where) {
  if (!list.is_array() || list.size() > kMaxDevices) return Bad(where, "is not an array of at most 64 devices");
  std::vector<GpuEvidence> out;
  for (const Json& item : list) {
    ASSIGN_OR_RETURN(GpuEvidence gpu, ReadDevice(item, where + "[" + std::to_string(out.size()) + "]"));
    out.push_back(std::move(gpu));
  }
  return out;
}

OrderedJson DevicesJson(const std::vector<GpuEvidence>& gpus) {
  OrderedJson list = OrderedJson::array();
  for (const GpuEvidence& gpu : gpus) {
    OrderedJson item;
    item["arch"] = gpu.arch;
    if (!gpu.uuid.empty()) item["uuid"] = gpu.uuid;
    item["evidence"] = Base64Encode(gpu.report);
    item["certificate"] = Base64Encode(AsBytes(gpu.certificate_chain));
    list.push_back(std::move(item));
  }
  return {{"device_evidence_list", std::move(list)}};
}

Result<std::vector<Bytes>> ReadDocuments(const Json& object, const char* key, const std::string& where) {
  std::vector<Bytes> out;
  const auto list = object.find(key);
  if (list == object.end() || list->is_null()) return out;
  if (!list->is_array() || list->size() > kMaxDocuments)
    return Bad(where + "." + key, "is not an array of at most 256 documents");
  for (const Json& item : *list) {
    auto bytes =
        item.is_string() ? Base64Decode(item.get<std::string>()) : Result<Bytes>(Bad(where, "is not a string"));
    if (!bytes.ok()) return Bad(where + "." + key + "[" + std::to_string(out.size()) + "]", "is not base64");
    out.push_back(std::move(*bytes));
  }
  return out;
}

Result<std::vector<IntelDocument>> ReadIntelDocuments(const Json& collateral, const char* key) {
  std::vector<IntelDocument> out;
  const auto list = collateral.find(key);
  if (list == collateral.end() || list->is_null()) return out;
  const std::string where = std::string("collateral.") + key;
  if (!list->is_array() || list->size() > kMaxDocuments) return Bad(where, "is not an array of at most 256 documents");
  for (const Json& item : *list) {
    const std::string at = where + "[" + std::to_string(out.size()) + "]";
    RETURN_IF_ERROR(OnlyMembers(item, {"body", "issuer_chain"}, at));
    IntelDocument& document = out.emplace_back();
    ASSIGN_OR_RETURN(document.body, OptionalString(item, "body", at));
    ASSIGN_OR_RETURN(document.issuer_chain, OptionalString(item, "issuer_chain", at));
  }
  return out;
}

OrderedJson IntelDocumentsJson(const std::vector<IntelDocument>& documents) {
  OrderedJson out = OrderedJson::array();
  for (const IntelDocument& document : documents)
    out.push_back({{"body", document.body}, {"issuer_chain", document.issuer_chain}});
  return out;
}

Result<Collateral> ReadCollateral(const Json& object) {
  Collateral out;
  RETURN_IF_ERROR(OnlyMembers(object, {"rims", "ocsp", "crls", "tcb_infos", "qe_identities"}, "collateral"));
  if (const auto rims = object.find("rims"); rims != object.end()) {
    if (!rims->is_object() || rims->size() > kMaxDocuments)
      return Bad("collateral.rims", "is not an object of at most 256 RIMs");
    for (const auto& [id, xml] : rims->items()) {
      if (!xml.is_string()) return Bad("collateral.rims." + id, "is not a string");
      out.rims[id] = xml.get<std::string>();
    }
  }
  ASSIGN_OR_RETURN(out.ocsp_responses, ReadDocuments(object, "ocsp", "collateral"));
  ASSIGN_OR_RETURN(out.crls, ReadDocuments(object, "crls", "collateral"));
  ASSIGN_OR_RETURN(out.tcb_infos, ReadIntelDocuments(object, "tcb_infos"));
  ASSIGN_OR_RETURN(out.qe_identities, ReadIntelDocuments(object, "qe_identities"));
  return out;
}

OrderedJson DocumentsJson(const std::vector<Bytes>& documents) {
  OrderedJson out = OrderedJson::array();
  for (const Bytes& document : documents) out.push_back(Base64Encode(document));
  return out;
}

}  // namespace

std::string DeviceEvidenceToJson(const std::vector<GpuEvidence>& gpus) { return DevicesJson(gpus).dump(); }

Result<std::vector<GpuEvidence>> DeviceEvidenceFromJson(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "device evidence"));
  if (json.is_array()) return ReadDevices(json, "device evidence");
  RETURN_IF_ERROR(OnlyMembers(json, {"device_evidence_list"}, "device evidence"));
  const auto list = json.find("device_evidence_list");
  if (list == json.end()) return Bad("device_evidence_list", "is missing");
  return ReadDevices(*list, "device_evidence_list");
}

std::string AdditionalEvidence(const std::vector<GpuEvidence>& gpus) {
  return gpus.empty() ? "" : OrderedJson{{"nvidia", DevicesJson(gpus)}}.dump();
}

Result<std::vector<GpuEvidence>> GpusOfAdditionalEvidence(std::string_view additional_evidence) {
  if (additional_evidence.empty()) return std::vector<GpuEvidence>();
  ASSIGN_OR_RETURN(const Json json, ParseJson(additional_evidence, "additional_evidence"));
  if (!json.is_object()) return Bad("additional_evidence", "is not an object");
  std::vector<GpuEvidence> out;
  for (const auto& [device, value] : json.items()) {
    if (device != "nvidia")
      return Err("evidence.unknown-device", "additional_evidence." + device,
                 "this verifier knows evidence of nvidia devices only");
    ASSIGN_OR_RETURN(out, DeviceEvidenceFromJson(value.dump()));
  }
  return out;
}

std::string EncodeComposite(const CompositeEvidence& e) {
  OrderedJson out;
  out["format"] = kFormat;
  out["nonce"] = Base64Encode(e.nonce);
  out["tee"] = TeeOf(e.cpu);
  if (!e.tee_pubkey.empty()) out["tee-pubkey"] = OrderedJson::parse(e.tee_pubkey, nullptr, false);
  out["tee-evidence"]["primary_evidence"] = OrderedJson::parse(CpuEvidenceToJson(e.cpu));
  out["tee-evidence"]["additional_evidence"] =
      e.additional_evidence.empty() ? AdditionalEvidence(e.gpus) : e.additional_evidence;
  if (!e.init_data.empty()) out["init-data"] = {{"format", "toml"}, {"body", e.init_data}};
  const Collateral& c = e.collateral;
  if (!c.rims.empty() || !c.ocsp_responses.empty() || !c.crls.empty()) {
    out["collateral"]["rims"] = c.rims;
    out["collateral"]["ocsp"] = DocumentsJson(c.ocsp_responses);
    out["collateral"]["crls"] = DocumentsJson(c.crls);
  }
  if (!c.tcb_infos.empty()) out["collateral"]["tcb_infos"] = IntelDocumentsJson(c.tcb_infos);
  if (!c.qe_identities.empty()) out["collateral"]["qe_identities"] = IntelDocumentsJson(c.qe_identities);
  return out.dump();
}

Result<CompositeEvidence> ParseComposite(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "evidence"));
  RETURN_IF_ERROR(OnlyMembers(json, {"format", "nonce", "tee", "tee-pubkey", "tee-evidence", "init-data", "collateral"},
                              "evidence"));
  CompositeEvidence out;
  ASSIGN_OR_RETURN(const std::string format, OptionalString(json, "format", "evidence"));
  if (format != kFormat) return Bad("format", "is \"" + format + "\", expected \"" + std::string(kFormat) + "\"");
  ASSIGN_OR_RETURN(out.nonce, Base64Member(json, "nonce", "evidence"));
  ASSIGN_OR_RETURN(const std::string tee, OptionalString(json, "tee", "evidence"));
  if (const auto key = json.find("tee-pubkey"); key != json.end()) {
    if (!key->is_object()) return Bad("tee-pubkey", "is not an object");
    out.tee_pubkey = key->dump();
  }
  const auto evidence = json.find("tee-evidence");
  if (evidence == json.end()) return Bad("tee-evidence", "is missing");
  RETURN_IF_ERROR(OnlyMembers(*evidence, {"primary_evidence", "additional_evidence"}, "tee-evidence"));
  const auto primary = evidence->find("primary_evidence");
  if (primary == evidence->end()) return Bad("tee-evidence.primary_evidence", "is missing");
  ASSIGN_OR_RETURN(out.cpu, CpuEvidenceFromJson(tee, primary->dump()));
  ASSIGN_OR_RETURN(out.additional_evidence, OptionalString(*evidence, "additional_evidence", "tee-evidence"));
  ASSIGN_OR_RETURN(out.gpus, GpusOfAdditionalEvidence(out.additional_evidence));
  if (const auto init = json.find("init-data"); init != json.end() && !init->is_null()) {
    RETURN_IF_ERROR(OnlyMembers(*init, {"format", "body"}, "init-data"));
    ASSIGN_OR_RETURN(const std::string init_format, OptionalString(*init, "format", "init-data"));
    if (init_format != "toml") return Bad("init-data.format", "is \"" + init_format + "\", expected toml");
    ASSIGN_OR_RETURN(out.init_data, OptionalString(*init, "body", "init-data"));
  }
  if (const auto collateral = json.find("collateral"); collateral != json.end()) {
    ASSIGN_OR_RETURN(out.collateral, ReadCollateral(*collateral));
  }
  return out;
}

}  // namespace ccgpu::evidence
