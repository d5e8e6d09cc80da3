// The words of `ccgpu evidence` and `ccgpu collateral`.
#include "base/encoding.h"
#include "cli/collateral_commands.h"
#include "cli/commands_parts.h"
#include "cli/evidence_commands.h"

namespace ccgpu::cli {
namespace {

void AddFiles(CLI::App& sub, const std::shared_ptr<JudgeOptions>& options) {
  sub.add_option("FILE", options->files,
                 "The evidence, and what lies beside it in any order: certificate chain, RIMs, OCSP, CRLs, event log")
      ->required()
      ->check(CLI::ExistingFile);
}

}  // namespace

void AddJudging(CLI::App& sub, const std::shared_ptr<JudgeOptions>& options) {
  sub.add_option("--at", options->at, "Judge as of this time (2026-11-22T06:30:00Z)");
  sub.add_option("--nonce", options->nonce_hex, "The nonce that was asked for (hexadecimal)");
  sub.add_option("--report-data", options->report_data_hex,
                 "All of REPORT_DATA (hexadecimal), for a CPU report that stands alone");
  sub.add_option("--collateral", options->collateral,
                 "Folder with rim/, ocsp/, crl/, amd/, or a signed bundle; besides what the evidence brings (may be "
                 "repeated)")
      ->check(CLI::ExistingPath);
  sub.add_option("--bundle-key", options->bundle_key_file, "PEM of the public key that bundles must be signed by")
      ->check(CLI::ExistingFile);
  sub.add_option("--policy", options->policy_file, "EvidencePolicy (YAML): what else is asked of the evidence")
      ->check(CLI::ExistingFile);
  sub.add_option("--root", options->root_files, "PEM of more trust anchors (may be repeated)")
      ->check(CLI::ExistingFile);
  sub.add_option("--key", options->key_files,
                 "JWKS or PEM public key that tokens and COSE messages are believed by (may be repeated)")
      ->check(CLI::ExistingFile);
  auto* reference = sub.add_option("--reference", options->reference_files,
                                   "Signed CoRIM (under --key) that the measurements must fit as well")
                        ->check(CLI::ExistingFile);
  sub.add_flag("--reference-instead-of-rims", options->references_replace_rims,
               "The CoRIMs stand for the GPUs' RIMs, which need not be there")
      ->needs(reference);
  sub.add_option("--gpus", options->gpus, "Exactly so many GPUs; default: what the pod's policy says")
      ->check(CLI::Range(0, 64));
  sub.add_option("--host-data", options->host_data, "sha256:... of the pod that must be running");
  sub.add_flag("--exit-class", options->exit_class,
               "When refused, exit with the code of the failure's class (10 to 20)");
  sub.add_flag("--insecure-accept-emulated", options->insecure_accept_emulated,
               "Accept emulated evidence; for tests only");
  sub.add_flag("--insecure-skip-revocation", options->insecure_skip_revocation,
               "Ask for no revocation statements; what says revoked still refuses");
}

void AddEvidence(CLI::App& app, Action& action, crypto::Random& random) {
  auto* evidence = app.add_subcommand("evidence", "Evidence: of running pods, and in files of any known format");
  evidence->require_subcommand(1);
  auto collect = std::make_shared<CollectOptions>();
  auto* get = evidence->add_subcommand("collect", "Ask a pod's agent for fresh evidence");
  get->add_option("POD", collect->pod, "[NAMESPACE/]NAME")->required();
  get->add_option("--output,-o", collect->output, "Where to write; default: standard output");
  get->add_option("--nonce", collect->nonce_hex, "Hexadecimal; default: 32 random bytes");
  get->callback([=, &action, &random] {
    action = [=, &random](Context& context) { return CollectEvidence(context, *collect, random); };
  });

  auto files = std::make_shared<std::vector<std::string>>();
  auto* show = evidence->add_subcommand("show", "What evidence says, without judging it");
  show->add_option("FILE", *files, "The evidence; certificates beside it")->required()->check(CLI::ExistingFile);
  show->callback([=, &action] { action = [=](Context& context) { return ShowEvidence(context, *files); }; });

  auto source = std::make_shared<std::string>(), form = std::make_shared<std::string>("nvidia"),
       target = std::make_shared<std::string>();
  auto* exporting = evidence->add_subcommand("export", "A pod's evidence in the form that other tools read");
  exporting->add_option("FILE", *source, "What `evidence collect` wrote")->required()->check(CLI::ExistingFile);
  exporting->add_option("--format", *form, "nvidia: nvattest's evidence_list; coco: KBS' composite tee-evidence")
      ->check(CLI::IsMember({"nvidia", "coco"}))
      ->capture_default_str();
  exporting->add_option("--output,-o", *target, "Where to write; default: standard output");
  exporting->callback(
      [=, &action] { action = [=](Context& context) { return ExportEvidence(context, *source, *form, *target); }; });

  auto options = std::make_shared<JudgeOptions>();
  auto* judge = evidence->add_subcommand("verify", "Judge evidence, offline");
  AddFiles(*judge, options);
  AddJudging(*judge, options);
  auto* token_key = judge
                        ->add_option("--token-key", options->token_key_file,
                                     "PEM of the private key that signs the token (P-384; for ear P-256 too)")
                        ->check(CLI::ExistingFile);
  judge->add_option("--token", options->token, "Print the verdict as a token for others: ear, or NVIDIA's eat")
      ->check(CLI::IsMember({"ear", "eat"}))
      ->needs(token_key);
  judge->callback([=, &action, &random] {
    action = [=, &random](Context& context) {
      options->token_id = HexEncode(random.Take(16));
      return VerifyEvidence(context, *options);
    };
  });
  auto* explain = evidence->add_subcommand("explain", "Judge evidence and say in words why it is refused");
  AddFiles(*explain, options);
  AddJudging(*explain, options);
  explain->callback([=, &action] { action = [=](Context& context) { return ExplainEvidence(context, *options); }; });

  auto before = std::make_shared<std::string>(), after = std::make_shared<std::string>();
  auto* diff = evidence->add_subcommand("diff", "What changed between two pieces of evidence, in words");
  diff->add_option("BEFORE", *before)->required()->check(CLI::ExistingFile);
  diff->add_option("AFTER", *after)->required()->check(CLI::ExistingFile);
  diff->callback([=, &action] { action = [=](Context& context) { return DiffEvidence(context, *before, *after); }; });
}

void AddCollateral(CLI::App& app, Action& action) {
  auto* collateral =
      app.add_subcommand("collateral", "Signed documents that evidence is judged by: RIM, OCSP, CRL, AMD's");
  collateral->require_subcommand(1);

  auto fetching = std::make_shared<FetchOptions>();
  auto* fetch = collateral->add_subcommand("fetch", "Get what a piece of evidence needs from the vendors' services");
  fetch->add_option("FILE", fetching->files, "The evidence, and what lies beside it")->check(CLI::ExistingFile);
  fetch->add_option("--rim", fetching->rims, "This RIM id too (may be repeated)");
  fetch->add_option("--output,-o", fetching->output, "Folder to write; what is there stays")->required();
  fetch->add_option("--mirror", fetching->mirror, "Write the RIMs there too, as a mirror of NVIDIA's service");
  fetch->add_option("--rim-url", fetching->rim_url, "RIM service; default: NVIDIA's");
  fetch->add_option("--ocsp-url", fetching->ocsp_url, "OCSP responder; default: NVIDIA's");
  fetch->add_option("--kds-url", fetching->kds_url, "AMD key service; default: AMD's");
  fetch->add_option("--pcs-url", fetching->pcs_url,
                    "Intel's certification service, or a mirror that has /IntelSGXRootCA.der too; default: Intel's");
  fetch->add_option("--cache", fetching->cache_dir, "Folder in which answers are kept");
  fetch->add_flag("--offline", fetching->offline, "Ask no service, only the cache");
  fetch
      ->add_option("--stale-while-offline", fetching->stale_seconds,
                   "While a service is away, use answers of the cache up to this age (1h, 36h)")
      ->transform(Seconds());
  fetch->add_option("--attempts", fetching->attempts, "How often a service is asked before it counts as away")
      ->check(CLI::Range(1, 10))
      ->capture_default_str();
  fetch->callback([=, &action] { action = [=](Context& context) { return FetchCollateral(context, *fetching); }; });

  auto bundling = std::make_shared<BundleOptions>();
  auto* bundle =
      collateral->add_subcommand("bundle", "Put collateral into one file, signed for a site without a network");
  bundle->add_option("SOURCE", bundling->sources, "Folders, single documents, other bundles")
      ->required()
      ->check(CLI::ExistingPath);
  bundle->add_option("--output,-o", bundling->output, "The bundle")->required();
  bundle->add_option("--key", bundling->key_file, "PEM of the operator's private key (P-384)")
      ->required()
      ->check(CLI::ExistingFile);
  bundle->add_option("--note", bundling->note, "A few words that go with it");
  bundle->add_option("--bundle-key", bundling->bundle_key_file, "Public key of bundles among the sources")
      ->check(CLI::ExistingFile);
  bundle->callback([=, &action] { action = [=](Context& context) { return BundleCollateral(context, *bundling); }; });

  auto checking = std::make_shared<CheckOptions>();
  auto* check = collateral->add_subcommand("check", "What each document is, for whom, until when; what is missing");
  check->add_option("SOURCE", checking->source, "Folder or bundle")->required()->check(CLI::ExistingPath);
  check->add_option("--for", checking->evidence, "The evidence that is to be judged with it (files, as for verify)")
      ->check(CLI::ExistingFile);
  check
      ->add_option("--bundle-key", checking->bundle_key_file, "PEM of the public key that the bundle must be signed by")
      ->check(CLI::ExistingFile);
  check->add_option("--at", checking->at, "As of this time; default: now");
  check->callback([=, &action] { action = [=](Context& context) { return CheckCollateral(context, *checking); }; });
}

}  // namespace ccgpu::cli
