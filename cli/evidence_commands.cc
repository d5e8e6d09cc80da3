#include "cli/evidence_commands.h"

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/anchors.h"
#include "cli/collateral_sources.h"
#include "cli/evidence/diff.h"
#include "cli/evidence/explain.h"
#include "cli/evidence/failure_class.h"
#include "cli/evidence/format.h"
#include "cli/evidence/keys.h"
#include "cli/node_commands.h"
#include "trust/evidence/composite.h"
#include "trust/evidence/evidence_list.h"
#include "trust/verify/token/result.h"

namespace ccgpu::cli {
namespace {

Result<Bytes> ParseNonce(const std::string& hex) {
  auto bytes = HexDecode(hex);
  if (!bytes.ok() || bytes->size() < 16 || bytes->size() > 64)
    return Err("input.bad-value", "--nonce", "must be 32 to 128 hexadecimal digits (16 to 64 bytes)");
  return *bytes;
}

Result<EvidencePolicy> ReadPolicy(const std::string& file) {
  if (file.empty()) return EvidencePolicy();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 1u << 20));
  return ParseEvidencePolicy(text, file);
}

Result<Expectations> Expect(const Context& context, const JudgeOptions& options, std::vector<std::string>& warnings) {
  Expectations out;
  ASSIGN_OR_RETURN(out.policy, ReadPolicy(options.policy_file));
  out.at = context.clock.Now();
  if (!options.at.empty()) {
    ASSIGN_OR_RETURN(out.at, ParseTime(options.at));
  }
  if (!options.nonce_hex.empty()) {
    ASSIGN_OR_RETURN(out.nonce, ParseNonce(options.nonce_hex));
  }
  if (!options.report_data_hex.empty()) {
    auto bytes = HexDecode(options.report_data_hex);
    if (!bytes.ok() || bytes->empty() || bytes->size() > 64)
      return Err("input.bad-value", "--report-data", "must be at most 128 hexadecimal digits (64 bytes)");
    bytes->resize(64);
    out.report_data = *bytes;
  }
  if (!options.host_data.empty()) {
    const std::string hex = options.host_data.starts_with("sha256:") ? options.host_data.substr(7) : options.host_data;
    auto wanted = HexDecode(hex);
    if (!wanted.ok() || wanted->size() != 32)
      return Err("input.bad-value", "--host-data",
                 "must be sha256:<64 hex digits>, as `ccgpu policy digest` prints it");
    out.host_data = *wanted;
  }
  std::vector<InputFile> root_texts = options.root_texts;
  for (const std::string& file : options.root_files) {
    ASSIGN_OR_RETURN(std::string pem, ReadFile(file, 1u << 20));
    root_texts.push_back({file, std::move(pem), Json()});
  }
  for (const InputFile& file : root_texts) {
    ASSIGN_OR_RETURN(const auto roots, crypto::Certificate::ListFromPem(file.bytes));
    out.named_roots.insert(out.named_roots.end(), roots.begin(), roots.end());
  }
  for (const std::string& file : options.key_files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, 1u << 20));
    out.keys.push_back(std::move(text));
  }
  if (options.gpus) out.gpus = static_cast<size_t>(*options.gpus);
  if (options.insecure_skip_revocation) {
    out.policy.gpu.require_revocation = out.policy.snp.require_revocation = out.policy.tdx.require_revocation = false;
    warnings.push_back("--insecure-skip-revocation: a revoked device may be accepted");
  }
  ASSIGN_OR_RETURN(out.anchors, ChooseAnchors(context.layout, root_texts, options.insecure_accept_emulated, &warnings));
  // No TPM vendor's root is built in: those that are named count, besides an emulating deployment's own.
  out.anchors.tpm_roots.insert(out.anchors.tpm_roots.end(), out.named_roots.begin(), out.named_roots.end());
  ASSIGN_OR_RETURN(const auto references, ReadReferences(options.reference_files, out));
  out.policy.gpu.references = out.policy.snp.references = out.policy.tdx.references = references;
  out.policy.gpu.references_replace_rims = options.references_replace_rims;
  return out;
}

struct Judged {
  EvidenceCase evidence;
  Judgement judgement;
};

Result<Judged> Judge(const Context& context, const JudgeOptions& options) {
  Judged out;
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(const Expectations expect, Expect(context, options, warnings));
  ASSIGN_OR_RETURN(out.evidence, OpenCase(options.files, options.inputs));
  for (const std::string& source : options.collateral) {
    ASSIGN_OR_RETURN(const collateral::Documents documents, ReadCollateral(source, options.bundle_key_file));
    // What was named last is looked at first.
    out.evidence.documents.insert(out.evidence.documents.begin(), documents.begin(), documents.end());
    out.evidence.sources.push_back(source);
  }
  ASSIGN_OR_RETURN(out.judgement, out.evidence.format->verify(out.evidence, expect));
  ApplyPolicy(expect.policy, std::string(out.evidence.format->name), out.judgement.verdict);
  out.judgement.warnings.insert(out.judgement.warnings.begin(), warnings.begin(), warnings.end());
  return out;
}

int ExitCodeFor(const JudgeOptions& options, const verify::Verdict& verdict) {
  if (verdict.accepted) return kOk;
  const FailureClass* failure = ClassOf(verdict);
  return options.exit_class && failure ? failure->exit_code : kFailed;
}

// The verdict for others to rely on; a refused one makes a token too, which says so.
Result<std::string> TokenOf(const Context& context, const JudgeOptions& options, const verify::Verdict& verdict) {
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(options.token_key_file, 1u << 20));
  ASSIGN_OR_RETURN(const crypto::PrivateKey key, crypto::PrivateKey::FromPem(pem));
  verify::ResultToken spec;
  spec.issued = context.clock.Now();
  spec.id = options.token_id;
  spec.nonce = options.nonce_hex;
  return options.token == "ear" ? verify::MakeEarToken(verdict, spec, key) : verify::MakeEatBundle(verdict, spec, key);
}

// An indented outline of the JSON.
void Outline(std::ostream& out, const OrderedJson& value, const std::string& indent) {
  for (const auto& [key, item] : value.items()) {
    if (item.is_structured() && !item.empty()) {
      out << indent << key << ":\n";
      Outline(out, item, indent + "  ");
    } else {
      out << indent << key << ": " << (item.is_string() ? item.get<std::string>() : item.dump()) << "\n";
    }
  }
}

std::string Dump(const OrderedJson& json) { return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace); }

Result<OrderedJson> Shown(const std::vector<std::string>& files) {
  ASSIGN_OR_RETURN(const EvidenceCase evidence, OpenCase(files));
  return evidence.format->show(evidence);
}

// The words of the evidence stay as they are: signatures and bindings hold in the other form too.
Result<std::string> Exported(const std::string& file, const std::string& form) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  auto parsed = evidence::ParseComposite(text);
  if (!parsed.ok()) return parsed.error().In(file);
  if (form == "coco") {
    ASSIGN_OR_RETURN(const Json json, ParseJson(text, file));
    return json.at("tee-evidence").dump(1);  // ParseComposite has found it
  }
  if (parsed->gpus.empty()) return Err("input.no-evidence", file, "is of a pod without GPUs: there is nothing to list");
  return evidence::EvidenceListJson(parsed->gpus);
}

}  // namespace

int CollectEvidence(Context& context, const CollectOptions& options, crypto::Random& random) {
  Bytes nonce = random.Take(32);
  if (!options.nonce_hex.empty()) {
    auto given = ParseNonce(options.nonce_hex);
    if (!given.ok()) return Report(context, given.error(), kUsage);
    nonce = *given;
  }
  auto text = EvidenceOfPod(context, ParsePodName(options.pod), ToText(nonce));
  if (!text.ok()) return Report(context, text.error());
  auto parsed = evidence::ParseComposite(*text);
  if (!parsed.ok()) return Report(context, parsed.error().In("evidence from the pod's agent"), kFailed);
  if (!Equal(parsed->nonce, nonce)) {
    return Report(context,
                  Err("verify.nonce-mismatch", options.pod, "the agent answered with evidence for another nonce"),
                  kFailed);
  }
  if (options.output.empty()) {
    context.out << *text << "\n";
    return kOk;
  }
  if (Status written = WriteFileAtomic(options.output, *text + "\n"); !written.ok())
    return Report(context, written.error(), kFailed);
  if (context.json) context.out << Json{{"output", options.output}, {"nonce", HexEncode(nonce)}}.dump() << "\n";
  else context.err << "wrote " << options.output << ", nonce " << HexEncode(nonce) << "\n";
  return kOk;
}

int ExportEvidence(Context& context, const std::string& file, const std::string& form, const std::string& output) {
  auto exported = Exported(file, form);
  if (!exported.ok()) return Report(context, exported.error(), kUsage);
  if (output.empty()) {
    context.out << *exported << "\n";
    return kOk;
  }
  if (Status written = WriteFileAtomic(output, *exported + "\n"); !written.ok())
    return Report(context, written.error(), kFailed);
  return kOk;
}

int ShowEvidence(Context& context, const std::vector<std::string>& files) {
  auto shown = Shown(files);
  if (!shown.ok()) return Report(context, shown.error(), kUsage);
  if (context.json) context.out << Dump(*shown) << "\n";
  else Outline(context.out, *shown, "");
  return kOk;
}

int VerifyEvidence(Context& context, const JudgeOptions& options) {
  auto judged = Judge(context, options);
  if (!judged.ok()) return Report(context, judged.error(), kUsage);
  const Judgement& judgement = judged->judgement;
  for (const std::string& warning : judgement.warnings) context.err << "ccgpu: warning: " << warning << "\n";
  if (!options.token.empty()) {
    auto token = TokenOf(context, options, judgement.verdict);
    if (!token.ok()) return Report(context, token.error(), kUsage);
    context.out << *token << "\n";
    return ExitCodeFor(options, judgement.verdict);
  }
  if (context.json) context.out << VerdictJson(judgement, *judged->evidence.format) << "\n";
  else PrintVerdict(context.out, judgement);
  return ExitCodeFor(options, judgement.verdict);
}

int ExplainEvidence(Context& context, const JudgeOptions& options) {
  auto judged = Judge(context, options);
  if (!judged.ok()) return Report(context, judged.error(), kUsage);
  const Judgement& judgement = judged->judgement;
  for (const std::string& warning : judgement.warnings) context.err << "ccgpu: warning: " << warning << "\n";
  if (context.json) context.out << Dump(ExplanationsJson(judged->evidence, judgement)) << "\n";
  else PrintExplanations(context.out, judged->evidence, judgement);
  return ExitCodeFor(options, judgement.verdict);
}

int DiffEvidence(Context& context, const std::string& before, const std::string& after) {
  auto first = Shown({before}), second = Shown({after});
  if (!first.ok()) return Report(context, first.error(), kUsage);
  if (!second.ok()) return Report(context, second.error(), kUsage);
  const std::vector<Change> changes = Diff(*first, *second);
  bool notable = false;
  OrderedJson list = OrderedJson::array();
  for (const Change& change : changes) {
    const bool expected = change.weight == Change::Weight::kExpected;
    notable = notable || !expected;
    list.push_back({{"path", change.path},
                    {"subject", change.subject},
                    {"before", change.before},
                    {"after", change.after},
                    {"notable", !expected},
                    {"text", change.Sentence()}});
    if (!context.json) context.out << (expected ? "  (expected) " : "  ") << change.Sentence() << "\n";
  }
  if (context.json) context.out << Dump({{"changes", list}, {"notable", notable}}) << "\n";
  else if (changes.empty()) context.out << "nothing changed\n";
  return notable ? kFailed : kOk;
}

}  // namespace ccgpu::cli
