// From files to one case: what each file is, and what lies beside what.
#include <algorithm>

#include "base/encoding.h"
#include "base/file.h"
#include "cli/evidence/format.h"
#include "collateral/bundle.h"

namespace ccgpu::cli {
namespace {

constexpr size_t kMaxInput = 64u << 20;

std::string_view Trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

bool IsPemChain(const InputFile& file) { return Trimmed(file.bytes).starts_with("-----BEGIN CERTIFICATE-----"); }
bool IsDerCertificate(const InputFile& file) {
  return file.bytes.size() < 65536 && file.bytes.starts_with("\x30\x82") &&
         crypto::Certificate::FromDer(AsBytes(file.bytes)).ok();
}
// TCG logs begin with PCR 0 (or CC register 0/1..), type EV_NO_ACTION and 20 zero bytes; both forms.
bool IsEventLog(const InputFile& file) {
  return file.bytes.size() > 64 && file.bytes.compare(4, 4, std::string("\x03\0\0\0", 4)) == 0 &&
         file.bytes.find("Spec ID Event0", 0) != std::string::npos && file.bytes.find("Spec ID Event0", 0) < 64;
}
bool IsKeys(const InputFile& file) {
  return Trimmed(file.bytes).starts_with("-----BEGIN PUBLIC KEY-----") ||
         (file.json.is_object() && (file.json.contains("keys") || file.json.contains("kty")));
}

std::string StemOf(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

std::string KnownFormats() {
  std::string out;
  for (const Format& format : Formats()) out += (out.empty() ? "" : ", ") + std::string(format.name);
  return out;
}

// Whether the file is something that lies beside evidence; puts it there.
Result<bool> TakeAsCompanion(InputFile& file, EvidenceCase& out) {
  if (collateral::LooksLikeBundle(file.bytes)) {
    return Err("input.unknown-format", file.path,
               "is a collateral bundle: name it with --collateral, and its signer with --bundle-key");
  }
  if (IsEventLog(file)) return out.logs.push_back(std::move(file)), true;
  if (IsKeys(file)) {
    return Err("input.unknown-format", file.path,
               "holds keys: what tokens are believed by is named with --key, not beside the token");
  }
  if (IsPemChain(file) || IsDerCertificate(file)) {
    // AMD's certificates are collateral of the report; every other chain belongs to the evidence itself.
    if (auto amd = collateral::Recognise(file.bytes, StemOf(file.path)); amd.ok())
      out.documents.insert(out.documents.end(), amd->begin(), amd->end());
    out.chains.push_back(std::move(file));
    return true;
  }
  if (auto documents = collateral::Recognise(file.bytes, StemOf(file.path)); documents.ok()) {
    out.documents.insert(out.documents.end(), documents->begin(), documents->end());
    out.sources.push_back(file.path);
    return true;
  }
  return false;
}

}  // namespace

InputFile MakeInput(std::string path, std::string bytes) {
  InputFile out{std::move(path), std::move(bytes), Json()};
  const std::string_view text = Trimmed(out.bytes);
  if (text.starts_with('{') || text.starts_with('[')) {
    if (auto json = ParseJson(text, out.path); json.ok()) out.json = std::move(*json);
  }
  return out;
}

Result<EvidenceCase> MakeCase(std::vector<InputFile> files) {
  EvidenceCase out;
  std::vector<InputFile> rest;
  // Evidence first; what may be either (a RIM) is evidence only when nothing else is.
  for (InputFile& file : files) {
    const auto& formats = Formats();
    const auto format =
        std::find_if(formats.begin(), formats.end(), [&](const Format& one) { return one.detect(file); });
    if (format == formats.end() || format->may_attach) {
      rest.push_back(std::move(file));
      continue;
    }
    if (out.format && out.format != &*format) {
      return Err("input.two-formats", file.path,
                 "is " + std::string(format->what) + ", and another file is " + std::string(out.format->what) +
                     ": one kind of evidence at a time");
    }
    out.format = &*format;
    out.evidence.push_back(std::move(file));
  }
  for (InputFile& file : rest) {
    const auto& formats = Formats();
    const auto format =
        std::find_if(formats.begin(), formats.end(), [&](const Format& one) { return one.detect(file); });
    if (!out.format && format != formats.end()) {
      out.format = &*format;
      out.evidence.push_back(std::move(file));
      continue;
    }
    ASSIGN_OR_RETURN(const bool taken, TakeAsCompanion(file, out));
    if (!taken) {
      const std::string_view text = Trimmed(file.bytes);
      if (text.starts_with('{') || text.starts_with('[')) {
        // JSON that cannot be read: where and why says more than a list of formats.
        if (auto json = ParseJson(text, file.path); !json.ok()) return json.error();
      }
      return Err("input.unknown-format", file.path,
                 "is of no format that this version knows. Evidence: " + KnownFormats() +
                     ". Beside it: certificates (PEM, DER), RIM XML, OCSP responses, CRLs, event logs, keys (JWKS)");
    }
  }
  if (!out.format) {
    return Err("input.no-evidence",
               files.empty()        ? ""
               : out.chains.empty() ? ""
                                    : out.chains[0].path,
               "there are only certificates or collateral here: name the evidence (report, quote, token) too. Known: " +
                   KnownFormats());
  }
  return out;
}

Result<EvidenceCase> OpenCase(const std::vector<std::string>& paths, std::vector<InputFile> more) {
  std::vector<InputFile> files = std::move(more);
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kMaxInput));
    files.push_back(MakeInput(path, std::move(bytes)));
  }
  return MakeCase(std::move(files));
}

Bytes BinaryOf(const std::string& bytes) {
  // Hexadecimal text begins with a digit; no format of ours begins with two of them in binary.
  std::string hex;
  for (const char c : bytes) {
    if (std::isspace(static_cast<unsigned char>(c))) continue;
    if (!std::isxdigit(static_cast<unsigned char>(c))) return ToBytes(AsBytes(bytes));
    hex += c;
  }
  auto decoded = HexDecode(hex);
  return decoded.ok() && !decoded->empty() ? *decoded : ToBytes(AsBytes(bytes));
}

void AddCheck(Judgement& judgement, verify::Check check, bool first) {
  if (check.outcome == verify::Check::Outcome::kFailed) {
    judgement.verdict.accepted = false;
    judgement.verdict.verified.reset();
  }
  auto& checks = judgement.verdict.checks;
  checks.insert(first ? checks.begin() : checks.end(), std::move(check));
}

void AskNonce(const Expectations& expect, ByteView found, const std::string& document, Judgement& judgement) {
  verify::Check asked;
  asked.name = "nonce.asked";
  asked.outcome = verify::Check::Outcome::kNotApplicable;
  asked.claim = "nonce";
  asked.found = HexEncode(found);
  asked.document = document;
  if (!expect.nonce) {
    asked.reason = Err("verify.no-nonce", "", "no --nonce was given: the evidence may be an old one");
    judgement.warnings.push_back("no --nonce: the evidence is judged, its freshness is not");
  } else {
    asked.expected = HexEncode(*expect.nonce);
    const bool fresh = EqualConstantTime(*expect.nonce, found);
    asked.outcome = fresh ? verify::Check::Outcome::kPassed : verify::Check::Outcome::kFailed;
    if (!fresh)
      asked.reason =
          Err("verify.nonce-mismatch", "", "the evidence answers another nonce: it is old, or somebody else's");
  }
  AddCheck(judgement, std::move(asked), true);
}

OrderedJson CertificateJson(const crypto::Certificate& certificate) {
  return {{"subject", certificate.SubjectName()},
          {"issuer", certificate.IssuerName()},
          {"serial", HexEncode(certificate.SerialNumber())},
          {"not_before", FormatTime(certificate.NotBefore())},
          {"not_after", FormatTime(certificate.NotAfter())},
          {"key_sha256", HexEncode(crypto::Sha256(certificate.key().Der()))}};
}

OrderedJson CertificatesJson(const std::string& pem) {
  OrderedJson out = OrderedJson::array();
  if (auto list = crypto::Certificate::ListFromPem(pem); list.ok()) {
    for (const crypto::Certificate& certificate : *list) out.push_back(CertificateJson(certificate));
  }
  return out;
}

}  // namespace ccgpu::cli
