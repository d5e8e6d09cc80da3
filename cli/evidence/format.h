// The formats of evidence that `ccgpu evidence` knows: one table, one row a format. A new one is one row (formats.cc)
// and one file (format_<name>.cc).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "cli/evidence/evidence_policy.h"
#include "collateral/document.h"
#include "trust/verify/verify.h"

namespace ccgpu::cli {

using OrderedJson = nlohmann::ordered_json;

// One FILE of the command line. `json` is null where the bytes are no JSON.
struct InputFile {
  std::string path, bytes;
  Json json;
};

struct Format;
struct Needs;  // needs.h

// Everything that was named on one command line, put together: one piece of evidence and what lies beside it.
struct EvidenceCase {
  const Format* format = nullptr;
  std::vector<InputFile> evidence;   // files of that format; at least one
  std::vector<InputFile> chains;     // PEM or DER certificates, in the command line's order
  std::vector<InputFile> logs;       // event logs
  collateral::Documents documents;   // RIMs, OCSP, CRLs.. among the files and out of --collateral
  std::vector<std::string> sources;  // where collateral was looked for, for "not found"
};

// What the caller asks of the evidence: options and the policy file.
struct Expectations {
  TimePoint at{};
  std::optional<Bytes> nonce;        // what was asked with
  std::optional<Bytes> report_data;  // 64 bytes, for CPU evidence that stands alone
  std::optional<Bytes> host_data;
  std::optional<size_t> gpus;
  verify::Anchors anchors;
  std::vector<crypto::Certificate> named_roots;  // all of --root, for formats without built-in roots (TPM)
  std::vector<std::string> keys;  // JWKS and PEM public keys that tokens and COSE messages are judged under
  EvidencePolicy policy;
};

struct Judgement {
  verify::Verdict verdict;
  std::vector<std::string> warnings;
  // The bytes that Check::document names, for excerpts.
  std::map<std::string, Bytes> documents;
};

struct Format {
  std::string_view name;  // "composite"; also the word in EvidencePolicy.formats
  std::string_view what;  // for people
  bool (*detect)(const InputFile& file);
  // What it says, not judged. Errors: the format's own parser's.
  Result<OrderedJson> (*show)(const EvidenceCase& evidence);
  Result<Judgement> (*verify)(const EvidenceCase& evidence, const Expectations& expect);
  bool may_attach = false;  // beside other evidence it is collateral (a RIM)
  // The devices and CPU reports in it that need collateral; nullptr when it needs none.
  Status (*parts)(const EvidenceCase& evidence, Needs& needs) = nullptr;
};

const std::vector<Format>& Formats();

// Reads and recognises the files. Errors: file.*, input.unknown-format (says what is known), input.two-formats.
// `more` is in memory already.
Result<EvidenceCase> OpenCase(const std::vector<std::string>& paths, std::vector<InputFile> more = {});
// The same of bytes, for tests and fuzzing.
Result<EvidenceCase> MakeCase(std::vector<InputFile> files);
InputFile MakeInput(std::string path, std::string bytes);

// -- for the rows --
// A report as it lies in files: bytes, or hexadecimal text with white space.
Bytes BinaryOf(const std::string& bytes);
// A check that the caller adds: a nonce that was asked for. Refuses the verdict when it does not fit, warns when there
// was none. `bound` names what the nonce was compared with.
void AskNonce(const Expectations& expect, ByteView found, const std::string& document, Judgement& judgement);
// Adds a failed or passed check of the caller's own and keeps `accepted` honest.
void AddCheck(Judgement& judgement, verify::Check check, bool first = false);
// Certificates for people and for comparing: subject, issuer, serial, dates.
OrderedJson CertificatesJson(const std::string& pem);
OrderedJson CertificateJson(const crypto::Certificate& certificate);

}  // namespace ccgpu::cli
