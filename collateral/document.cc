#include "collateral/document.h"

#include <algorithm>
#include <set>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"

namespace ccgpu::collateral {
namespace {

std::string_view TrimLeft(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

// What AMD's product certificates are called: "SEV-VCEK", "SEV-VLEK", "SEV-Milan", "SEV-VLEK-Milan", "ARK-Milan".
std::string AmdType(const crypto::Certificate& certificate) {
  const std::string name = certificate.SubjectCommonName();
  if (name == "SEV-VCEK") return "VCEK";
  if (name == "SEV-VLEK") return "VLEK";
  if (name.starts_with("ARK-")) return "ARK";
  if (name.starts_with("SEV-")) return "ASK";
  if (certificate.Extension("1.3.6.1.4.1.3704.1.1").has_value()) return "VCEK";  // an emulator's
  return "";
}

}  // namespace

const std::vector<KindRow>& Kinds() {
  static const std::vector<KindRow> rows = {
      {Kind::kRim, "rim", "rim", ".xml", "reference manifest"},
      {Kind::kOcsp, "ocsp", "ocsp", ".der", "revocation answer (OCSP)"},
      {Kind::kCrl, "crl", "crl", ".der", "revocation list (CRL)"},
      {Kind::kAmdCertificate, "amd-certificate", "amd", ".der", "AMD certificate"},
      {Kind::kIntelTcbInfo, "intel-tcb-info", "tcb-info", ".json", "Intel TCB info"},
      {Kind::kIntelQeIdentity, "intel-qe-identity", "qe-identity", ".json", "Intel QE identity"},
  };
  return rows;
}

const KindRow& RowOf(Kind kind) {
  return *std::find_if(Kinds().begin(), Kinds().end(), [&](const KindRow& row) { return row.kind == kind; });
}

Result<Kind> KindOfWord(std::string_view word) {
  for (const KindRow& row : Kinds()) {
    if (row.word == word) return row.kind;
  }
  return Err("collateral.unknown-kind", std::string(word), "is no kind of collateral that this version knows");
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name[0] != '.' && name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
                  c == '.';
         });
}

std::string NameOfContent(const Document& document) {
  return std::string(RowOf(document.kind).word) + "-" +
         HexEncode(crypto::Sha256(AsBytes(document.content))).substr(0, 16);
}

Result<Documents> Recognise(std::string_view bytes, const std::string& name) {
  const auto named = [&](Kind kind, std::string content) {
    Document out{kind, "", std::move(content)};
    out.name = IsName(name) ? name : NameOfContent(out);
    return out;
  };
  const std::string_view text = TrimLeft(bytes);
  if (text.starts_with("<") && bytes.find("SoftwareIdentity") != std::string_view::npos)
    return Documents{named(Kind::kRim, std::string(bytes))};
  if (text.starts_with("{") && text.find("\"rim\"") != std::string_view::npos) {
    ASSIGN_OR_RETURN(Document rim, RimOfAnswer(std::string(bytes), ""));
    return Documents{std::move(rim)};
  }
  if (text.starts_with("{") && bytes.size() <= kMaxDocument) {
    const std::string body = IntelOf(std::string(bytes)).body;
    if (body.find("\"tcbInfo\"") != std::string::npos) return Documents{named(Kind::kIntelTcbInfo, std::string(bytes))};
    if (body.find("\"enclaveIdentity\"") != std::string::npos)
      return Documents{named(Kind::kIntelQeIdentity, std::string(bytes))};
  }
  std::vector<crypto::Certificate> certificates;
  if (text.starts_with("-----BEGIN CERTIFICATE-----")) {
    if (auto list = crypto::Certificate::ListFromPem(text); list.ok()) certificates = std::move(*list);
  } else if (text.starts_with("-----BEGIN X509 CRL-----")) {
    std::string body(text.substr(24, text.find("-----END") == std::string_view::npos ? 0 : text.find("-----END") - 24));
    std::erase_if(body, [](unsigned char c) { return std::isspace(c) != 0; });
    if (auto der = Base64Decode(body); der.ok() && evidence::ParseCrl(*der).ok())
      return Documents{named(Kind::kCrl, ToText(*der))};
  } else if (auto one = crypto::Certificate::FromDer(AsBytes(bytes)); one.ok()) {
    certificates = {*one};
  }
  if (!certificates.empty()) {
    Documents out;
    for (const crypto::Certificate& certificate : certificates) {
      if (AmdType(certificate).empty()) continue;
      Document document{Kind::kAmdCertificate, "", ToText(certificate.Der())};
      document.name = NameOfContent(document);
      out.push_back(std::move(document));
    }
    if (!out.empty()) return out;
    return Err("collateral.unknown-document", name,
               "is a certificate of \"" + certificates[0].SubjectName() + "\": not AMD's, and of no use as collateral");
  }
  if (evidence::ParseOcspResponse(AsBytes(bytes)).ok()) return Documents{named(Kind::kOcsp, std::string(bytes))};
  if (evidence::ParseCrl(AsBytes(bytes)).ok()) return Documents{named(Kind::kCrl, std::string(bytes))};
  return Err("collateral.unknown-document", name,
             "is neither RIM, OCSP response, CRL, certificate of AMD's nor document of Intel's");
}

void AddTo(const Documents& documents, evidence::Collateral& to) {
  for (const Document& document : documents) {
    switch (document.kind) {
      case Kind::kRim: to.rims.emplace(document.name, document.content); break;
      case Kind::kOcsp: to.ocsp_responses.push_back(ToBytes(AsBytes(document.content))); break;
      case Kind::kCrl: to.crls.push_back(ToBytes(AsBytes(document.content))); break;
      case Kind::kAmdCertificate: break;
      case Kind::kIntelTcbInfo: to.tcb_infos.push_back(IntelOf(document.content)); break;
      case Kind::kIntelQeIdentity: to.qe_identities.push_back(IntelOf(document.content)); break;
    }
  }
}

std::string IntelText(const evidence::IntelDocument& document) {
  return Json{{"body", document.body}, {"issuer_chain", document.issuer_chain}}.dump(-1, ' ', true,
                                                                                     Json::error_handler_t::replace);
}

evidence::IntelDocument IntelOf(const std::string& text) {
  if (auto json = ParseJson(text, "Intel document"); json.ok() && json->is_object() && json->contains("body")) {
    const auto body = JsonString(*json, "body", ""), chain = JsonString(*json, "issuer_chain", "");
    if (body.ok() && chain.ok()) return {*body, *chain};
  }
  return {text, ""};
}

evidence::Collateral ToCollateral(const Documents& documents) {
  evidence::Collateral out;
  AddTo(documents, out);
  return out;
}

std::vector<evidence::SnpCertificate> AmdCertificates(const Documents& documents) {
  std::vector<evidence::SnpCertificate> out;
  for (const Document& document : documents) {
    if (document.kind != Kind::kAmdCertificate) continue;
    const auto certificate = crypto::Certificate::FromDer(AsBytes(document.content));
    if (certificate.ok()) out.push_back({AmdType(*certificate), ToBytes(AsBytes(document.content))});
  }
  return out;
}

Documents FromCollateral(const evidence::Collateral& collateral) {
  Documents out;
  for (const auto& [id, xml] : collateral.rims) out.push_back({Kind::kRim, id, xml});
  const auto add = [&](Kind kind, const std::vector<Bytes>& list) {
    for (const Bytes& der : list) {
      Document document{kind, "", ToText(der)};
      document.name = NameOfContent(document);
      out.push_back(std::move(document));
    }
  };
  add(Kind::kOcsp, collateral.ocsp_responses);
  add(Kind::kCrl, collateral.crls);
  const auto add_intel = [&](Kind kind, const std::vector<evidence::IntelDocument>& list) {
    for (const evidence::IntelDocument& one : list) {
      Document document{kind, "", IntelText(one)};
      document.name = NameOfContent(document);
      out.push_back(std::move(document));
    }
  };
  add_intel(Kind::kIntelTcbInfo, collateral.tcb_infos);
  add_intel(Kind::kIntelQeIdentity, collateral.qe_identities);
  return out;
}

void Deduplicate(Documents& documents) {
  std::set<std::pair<Kind, std::string>> seen;
  std::erase_if(documents, [&](const Document& document) {
    return !seen.insert({document.kind, document.kind == Kind::kRim ? document.name : document.content}).second;
  });
}

Result<Document> RimOfAnswer(const std::string& answer, const std::string& id) {
  const auto bad = [&](std::string text) { return Err("collateral.rim-unavailable", id, std::move(text)); };
  ASSIGN_OR_RETURN(const Json json, ParseJson(answer, "RIM service"));
  ASSIGN_OR_RETURN(const std::string answered_id, JsonString(json, "id", "RIM service"));
  if (!id.empty() && answered_id != id) return bad("the RIM service answered with another RIM, " + answered_id);
  if (!IsName(answered_id)) return bad("the answer's id is none that a RIM can have");
  ASSIGN_OR_RETURN(const std::string encoded, JsonString(json, "rim", "RIM service"));
  ASSIGN_OR_RETURN(const Bytes xml, Base64Decode(encoded));
  if (xml.size() > kMaxDocument) return bad("the RIM is larger than 4 MiB");
  if (const auto digest = json.find("sha256"); digest != json.end() && digest->is_string()) {
    // Over the XML or over its base64 text: both are seen in the field. It guards against damage only.
    const auto fits = [&](ByteView bytes) { return *digest == HexEncode(crypto::Sha256(bytes)); };
    if (!fits(xml) && !fits(AsBytes(encoded))) return bad("the answer's sha256 does not fit its RIM: it was damaged");
  }
  return Document{Kind::kRim, answered_id, ToText(xml)};
}

}  // namespace ccgpu::collateral
