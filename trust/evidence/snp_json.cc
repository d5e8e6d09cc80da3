// CoCo's JSON of an SNP report and of the evidence around it. Numbers and arrays of numbers, as Rust's serde writes the
// structures of the "sev" crate; unknown members are refused, since something in them might have been meant to count.
#include <set>

#include "base/json.h"
#include "trust/evidence/snp_certs.h"

namespace ccgpu::evidence {
namespace {

using OrderedJson = nlohmann::ordered_json;

Error Bad(std::string where, std::string text) { return Err("evidence.malformed", std::move(where), std::move(text)); }

OrderedJson TcbJson(uint64_t tcb, bool turin) {
  const TcbParts parts = SplitTcb(tcb, turin);
  OrderedJson out;
  if (parts.fmc) {
    out["fmc"] = *parts.fmc;
  } else {
    out["fmc"] = nullptr;
  }
  out["bootloader"] = parts.bootloader;
  out["tee"] = parts.tee;
  out["snp"] = parts.snp;
  out["microcode"] = parts.microcode;
  return out;
}

OrderedJson VersionJson(const SnpVersion& v) { return {{"major", v.major}, {"minor", v.minor}, {"build", v.build}}; }

// Reads the members of one object once each; the first fault is kept. Finish() refuses members that nobody asked for.
class Members {
 public:
  Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail("", "is not an object");
  }

  // Absent and null are the same: nullptr.
  const Json* Find(const char* key) {
    asked_.insert(key);
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  uint64_t Number(const char* key, uint64_t most, bool required = true) {
    const Json* value = Find(key);
    if (!value) {
      if (required) Fail(key, "is missing");
      return 0;
    }
    if (!value->is_number_unsigned() || value->get<uint64_t>() > most) {
      Fail(key, "is not a number from 0 to " + std::to_string(most));
      return 0;
    }
    return value->get<uint64_t>();
  }
  Bytes Array(const char* key, size_t size) {
    const Json* value = Find(key);
    if (!value || !value->is_array() || value->size() != size) {
      Fail(key, "is not an array of " + std::to_string(size) + " bytes");
      return Bytes(size);
    }
    Bytes out;
    for (const Json& item : *value) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > 255) {
        Fail(key, "holds something that is not a byte");
        return Bytes(size);
      }
      out.push_back(item.get<uint8_t>());
    }
    return out;
  }
  uint64_t Tcb(const char* key, bool turin) {
    const Json* value = Find(key);
    if (!value) {
      Fail(key, "is missing");
      return 0;
    }
    Members in(*value, where_ + "." + key);
    TcbParts parts;
    const bool has_fmc = in.Find("fmc") != nullptr;
    if (has_fmc != turin)
      in.Fail("fmc", turin ? "is missing for this CPU family" : "does not exist for this CPU family");
    if (has_fmc) parts.fmc = static_cast<uint8_t>(in.Number("fmc", 255));
    parts.bootloader = static_cast<uint8_t>(in.Number("bootloader", 255));
    parts.tee = static_cast<uint8_t>(in.Number("tee", 255));
    parts.snp = static_cast<uint8_t>(in.Number("snp", 255));
    parts.microcode = static_cast<uint8_t>(in.Number("microcode", 255));
    Merge(in);
    return JoinTcb(parts);
  }
  SnpVersion Version(const char* key) {
    const Json* value = Find(key);
    if (!value) {
      Fail(key, "is missing");
      return {};
    }
    Members in(*value, where_ + "." + key);
    SnpVersion out;
    out.major = static_cast<uint8_t>(in.Number("major", 255));
    out.minor = static_cast<uint8_t>(in.Number("minor", 255));
    out.build = static_cast<uint8_t>(in.Number("build", 255));
    Merge(in);
    return out;
  }
  void Fail(const std::string& key, std::string text) {
    if (status_.ok()) status_ = Bad(key.empty() ? where_ : where_ + "." + key, std::move(text));
  }
  Status Finish() {
    if (object_.is_object()) {
      for (const auto& [key, value] : object_.items()) {
        if (!asked_.contains(key)) Fail(key, "is not a known member");
      }
    }
    return status_;
  }
  void Merge(Members& inner) {
    if (Status inner_status = inner.Finish(); status_.ok()) status_ = std::move(inner_status);
  }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string> asked_;
  Status status_;
};

OrderedJson ReportJson(const SnpReport& r) {
  const bool turin = r.IsTurin();
  OrderedJson out;
  out["version"] = r.version;
  out["guest_svn"] = r.guest_svn;
  out["policy"] = r.policy;
  out["family_id"] = r.family_id;
  out["image_id"] = r.image_id;
  out["vmpl"] = r.vmpl;
  out["sig_algo"] = r.signature_algorithm;
  out["current_tcb"] = TcbJson(r.current_tcb, turin);
  out["plat_info"] = r.platform_info;
  out["key_info"] = r.key_info;
  out["report_data"] = r.report_data;
  out["measurement"] = r.measurement;
  out["host_data"] = r.host_data;
  out["id_key_digest"] = r.id_key_digest;
  out["author_key_digest"] = r.author_key_digest;
  out["report_id"] = r.report_id;
  out["report_id_ma"] = r.report_id_ma;
  out["reported_tcb"] = TcbJson(r.reported_tcb, turin);
  if (r.version >= 3) {
    out["cpuid_fam_id"] = r.cpuid_family;
    out["cpuid_mod_id"] = r.cpuid_model;
    out["cpuid_step"] = r.cpuid_stepping;
  }
  out["chip_id"] = r.chip_id;
  out["committed_tcb"] = TcbJson(r.committed_tcb, turin);
  out["current"] = VersionJson(r.current_version);
  out["committed"] = VersionJson(r.committed_version);
  out["launch_tcb"] = TcbJson(r.launch_tcb, turin);
  if (r.version >= 5) {
    out["launch_mit_vector"] = r.launch_mit_vector;
    out["current_mit_vector"] = r.current_mit_vector;
  }
  out["signature"] = {{"r", r.signature_r}, {"s", r.signature_s}};
  return out;
}

Result<SnpReport> ReportOfJson(const Json& json) {
  Members in(json, "attestation_report");
  SnpReport r;
  r.version = static_cast<uint32_t>(in.Number("version", UINT32_MAX));
  r.guest_svn = static_cast<uint32_t>(in.Number("guest_svn", UINT32_MAX));
  r.policy = in.Number("policy", UINT64_MAX);
  r.family_id = in.Array("family_id", 16);
  r.image_id = in.Array("image_id", 16);
  r.vmpl = static_cast<uint32_t>(in.Number("vmpl", UINT32_MAX));
  r.signature_algorithm = static_cast<uint32_t>(in.Number("sig_algo", UINT32_MAX));
  r.platform_info = in.Number("plat_info", UINT64_MAX);
  r.key_info = static_cast<uint32_t>(in.Number("key_info", UINT32_MAX));
  r.report_data = in.Array("report_data", 64);
  r.measurement = in.Array("measurement", 48);
  r.host_data = in.Array("host_data", 32);
  r.id_key_digest = in.Array("id_key_digest", 48);
  r.author_key_digest = in.Array("author_key_digest", 48);
  r.report_id = in.Array("report_id", 32);
  r.report_id_ma = in.Array("report_id_ma", 32);
  r.cpuid_family = static_cast<uint8_t>(in.Number("cpuid_fam_id", 255, r.version >= 3));
  r.cpuid_model = static_cast<uint8_t>(in.Number("cpuid_mod_id", 255, r.version >= 3));
  r.cpuid_stepping = static_cast<uint8_t>(in.Number("cpuid_step", 255, r.version >= 3));
  r.chip_id = in.Array("chip_id", 64);  // before the TCBs: in version 2 it says which layout they have
  r.current_tcb = in.Tcb("current_tcb", r.IsTurin());
  r.reported_tcb = in.Tcb("reported_tcb", r.IsTurin());
  r.committed_tcb = in.Tcb("committed_tcb", r.IsTurin());
  r.current_version = in.Version("current");
  r.committed_version = in.Version("committed");
  r.launch_tcb = in.Tcb("launch_tcb", r.IsTurin());
  r.launch_mit_vector = in.Number("launch_mit_vector", UINT64_MAX, r.version >= 5);
  r.current_mit_vector = in.Number("current_mit_vector", UINT64_MAX, r.version >= 5);
  if (const Json* signature = in.Find("signature")) {
    Members parts(*signature, "attestation_report.signature");
    r.signature_r = parts.Array("r", 72);
    r.signature_s = parts.Array("s", 72);
    in.Merge(parts);
  } else {
    in.Fail("signature", "is missing");
  }
  RETURN_IF_ERROR(in.Finish());
  return ParseSnpReport(EncodeSnpReport(r));  // the same rules as for bytes
}

}  // namespace

std::string SnpReportToJson(const SnpReport& report) { return ReportJson(report).dump(); }

Result<SnpReport> SnpReportFromJson(std::string_view json) {
  ASSIGN_OR_RETURN(const Json parsed, ParseJson(json, "attestation_report"));
  return ReportOfJson(parsed);
}

std::string SnpEvidenceToJson(const SnpEvidence& evidence) {
  OrderedJson out;
  out["attestation_report"] = ReportJson(ParseSnpReport(evidence.report).value());
  out["cert_chain"] = OrderedJson::array();
  for (const SnpCertificate& c : evidence.certificates)
    out["cert_chain"].push_back({{"cert_type", c.type}, {"data", c.der}});
  return out.dump();
}

Result<SnpEvidence> SnpEvidenceFromJson(std::string_view json) {
  ASSIGN_OR_RETURN(const Json parsed, ParseJson(json, "primary_evidence"));
  Members in(parsed, "primary_evidence");
  const Json* report = in.Find("attestation_report");
  const Json* chain = in.Find("cert_chain");
  RETURN_IF_ERROR(in.Finish());
  if (!report) return Bad("primary_evidence.attestation_report", "is missing");
  SnpEvidence out;
  ASSIGN_OR_RETURN(const SnpReport parsed_report, ReportOfJson(*report));
  out.report = EncodeSnpReport(parsed_report);
  if (!chain) return out;
  if (!chain->is_array() || chain->size() > 8)
    return Bad("primary_evidence.cert_chain", "is not an array of at most 8 certificates");
  for (const Json& entry : *chain) {
    Members item(entry, "primary_evidence.cert_chain[" + std::to_string(out.certificates.size()) + "]");
    const Json* type = item.Find("cert_type");
    const Json* data = item.Find("data");
    if (!type || !type->is_string()) item.Fail("cert_type", "is not a string");
    SnpCertificate certificate;
    if (data && data->is_array() && data->size() <= 16384) {
      certificate.der = item.Array("data", data->size());
    } else {
      item.Fail("data", "is not an array of at most 16384 bytes");
    }
    RETURN_IF_ERROR(item.Finish());
    certificate.type = type->get<std::string>();
    out.certificates.push_back(std::move(certificate));
  }
  return out;
}

}  // namespace ccgpu::evidence
