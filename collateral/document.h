// A signed document that evidence is judged by, as it lies in folders, bundles and caches. Whoever carries it need not
// be trusted: trust/verify checks every signature and date.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "trust/evidence/composite.h"
#include "trust/evidence/snp_certs.h"

namespace ccgpu::collateral {

enum class Kind { kRim, kOcsp, kCrl, kAmdCertificate, kIntelTcbInfo, kIntelQeIdentity };

// How a kind is spelled in manifests and where it lies in a folder: one row a kind.
struct KindRow {
  Kind kind;
  std::string_view word;       // in manifests: "rim"
  std::string_view folder;     // in a collateral folder: "rim"
  std::string_view extension;  // ".xml"
  std::string_view what;       // for people
};
const std::vector<KindRow>& Kinds();
const KindRow& RowOf(Kind kind);
Result<Kind> KindOfWord(std::string_view word);  // collateral.unknown-kind

struct Document {
  Kind kind = Kind::kRim;
  std::string name;  // RIM: its id. Others: any file name; made of the content when empty
  std::string content;

  bool operator==(const Document&) const = default;
};
using Documents = std::vector<Document>;

inline constexpr size_t kMaxDocument = 4u << 20;
inline constexpr size_t kMaxDocuments = 4096;

// Names become paths and parts of URLs: letters, digits, '.', '_', '-'; no leading dot, no "..", at most 128.
bool IsName(std::string_view name);
// "<kind word>-<first 16 digits of the content's SHA-256>", for documents that nobody named.
std::string NameOfContent(const Document& document);

// Recognises a document by its bytes: a RIM's XML, NVIDIA's JSON answer around one, an OCSP response, a CRL, a
// certificate of AMD's (DER or PEM; a PEM list gives several), TCB info or QE identity of Intel's.
// collateral.unknown-document when it is none.
Result<Documents> Recognise(std::string_view bytes, const std::string& name);

// Intel's documents with their issuer chain as one JSON text, {"body","issuer_chain"}, as bundles and folders hold
// them; a body alone is read as one without a chain.
std::string IntelText(const evidence::IntelDocument& document);
evidence::IntelDocument IntelOf(const std::string& text);

// The form in which the verifier takes them. AMD's certificates are not part of it: they belong to the report.
void AddTo(const Documents& documents, evidence::Collateral& to);
evidence::Collateral ToCollateral(const Documents& documents);
std::vector<evidence::SnpCertificate> AmdCertificates(const Documents& documents);
// The documents inside evidence that brought its own.
Documents FromCollateral(const evidence::Collateral& collateral);
// Each document once; the first of two RIMs with one id stays.
void Deduplicate(Documents& documents);

// The XML in an answer of NVIDIA's RIM service: {"id","rim": base64, "sha256",..}. `id` empty: any. Refuses another id
// and a digest that does not fit. collateral.rim-unavailable.
Result<Document> RimOfAnswer(const std::string& answer, const std::string& id);

}  // namespace ccgpu::collateral
