// Signed CoRIMs in place of, or beside, what a kind of evidence has for reference values.
#include <gmock/gmock.h>

#include "trust/verify/references/corim.h"
#include "trust/verify/testing/tdx_world.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::Hash;

// An emulated CoRIM with one value for each key.
std::shared_ptr<const References> Made(const std::string& vendor, const std::string& model,
                                       const std::map<std::string, Bytes>& values, bool emulated = true) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  evidence::ReferenceValues corim;
  corim.id = "made";
  corim.tags = {{"tag", 1, {{{"", vendor, model, {}, {}}, {}}}}};
  for (const auto& [name, value] : values)
    corim.tags[0].triples[0].measurements.push_back({name, {{Hash::kSha384, {value}}}, {}, {}, "", ""});
  evidence::CoseSpec spec;
  spec.content_type = "application/rim+cbor";
  spec.corim_meta = evidence::EncodeCorimMeta({emulated ? "EMULATED" : "ACME", {}, kTestNow + std::chrono::hours(1)});
  CorimOptions options;
  options.signer.keys = {PinnedCoseKey(key.public_key()).value()};
  options.insecure_accept_emulated = true;
  const Bytes document = evidence::SignCoseSign1(spec, evidence::EncodeCorim(corim), key);
  const CorimVerdict verdict = VerifyCorim(evidence::Unverified(document), options, kTestNow);
  EXPECT_TRUE(verdict.values) << verdict.verdict.ToJson();
  return std::make_shared<const References>(References{{*verdict.values}});
}

std::map<std::string, Bytes> ValuesOf(const GpuWorld& w) {
  std::map<std::string, Bytes> out;
  for (const auto& [index, value] : w.report.measurements) out[std::to_string(index)] = value;
  return out;
}

// rule 13: gpu
TEST(ReferencesForGpus, BesideTheRims) {
  GpuWorld w;
  w.options.references = Made("NVIDIA", "GH100", ValuesOf(w));
  EXPECT_EQ(Outcome(w.Run()), "accepted") << w.Run().ToJson();
  auto values = ValuesOf(w);
  values["9"][0] ^= 1;
  w.options.references = Made("NVIDIA", "GH100", values);
  const Verdict v = w.Run();
  EXPECT_EQ(Outcome(v), "corim.measurement-mismatch");
  EXPECT_EQ(v.FirstFailure()->claim, "measurement 9");
  EXPECT_EQ(v.FirstFailure()->document, "gpu0/report");
  w.options.references = Made("NVIDIA", "GB100", ValuesOf(w));
  EXPECT_EQ(Outcome(w.Run()), "corim.no-values");
  w.options.references = Made("NVIDIA", "GH100", ValuesOf(w), false);
  EXPECT_EQ(Outcome(w.Run()), "environment.mixed") << "hardware's values say nothing about an emulator";
}

// rule 13: gpu
TEST(ReferencesForGpus, InsteadOfTheRims) {
  GpuWorld w;
  w.collateral.rims.clear();
  EXPECT_EQ(Outcome(w.Run()), "rim.not-found");
  w.options.references_replace_rims = true;
  EXPECT_FALSE(w.Run().accepted) << "neither RIMs nor references";
  w.options.references = Made("NVIDIA", "GH100", ValuesOf(w));
  const Verdict good = w.Run();
  EXPECT_EQ(Outcome(good), "accepted") << good.ToJson();
  EXPECT_EQ(Json::parse(good.claims_json)["measres"], "success");
  w.report.measurements.begin()->second[0] ^= 1;
  w.Sign();
  const Verdict bad = w.Run();
  EXPECT_EQ(Outcome(bad), "corim.measurement-mismatch");
  EXPECT_EQ(Json::parse(bad.claims_json)["measres"], "fail");
  GpuWorld off;  // values that do not speak of the mode do not make any mode good
  off.options.references_replace_rims = true;
  auto few = ValuesOf(off);
  few.erase(std::to_string(evidence::kIndexCcMode));
  off.report.measurements[evidence::kIndexCcMode] = evidence::CcModeMeasurement("devtools");
  off.Sign();
  off.options.references = Made("NVIDIA", "GH100", few);
  EXPECT_EQ(Outcome(off.Run()), "gpu.mode-devtools");
}

// rule 13: snp
TEST(ReferencesForSnp, LaunchMeasurement) {
  SnpWorld w;
  w.options.references = Made("AMD", "SEV-SNP", {{"measurement", w.report.measurement}});
  EXPECT_EQ(Outcome(w.Run()), "accepted") << w.Run().ToJson();
  w.options.references = Made("AMD", "SEV-SNP", {{"measurement", Bytes(48, 1)}});
  EXPECT_EQ(Outcome(w.Run()), "corim.measurement-mismatch");
  w.options.references = Made("Intel", "TDX", {{"mr_td", w.report.measurement}});
  EXPECT_EQ(Outcome(w.Run()), "corim.no-values");
  w.options.references = std::make_shared<const References>();
  EXPECT_EQ(Outcome(w.Run()), "corim.no-values") << "none is not any";
}

// rule 13: tdx
TEST(ReferencesForTdx, BuildAndRegisters) {
  TdxWorld w;
  const std::map<std::string, Bytes> values = {{"mr_td", w.quote.body.mr_td},
                                               {"mr_seam", w.quote.body.mr_seam},
                                               {"rtmr_0", w.quote.body.rtmrs[0]},
                                               {"rtmr_3", w.quote.body.rtmrs[3]}};
  w.options.references = Made("Intel", "TDX", values);
  EXPECT_EQ(Outcome(w.Run()), "accepted") << w.Run().ToJson();
  for (const auto& [name, value] : values) {
    auto changed = values;
    changed[name][47] ^= 1;
    w.options.references = Made("Intel", "TDX", changed);
    EXPECT_EQ(Outcome(w.Run()), "corim.measurement-mismatch") << name;
  }
  w.options.references = Made("Intel", "TDX", {{"rtmr_4", Bytes(48)}});
  EXPECT_EQ(Outcome(w.Run()), "corim.measurement-mismatch") << "a register that there is not";
}

}  // namespace
}  // namespace ccgpu::verify
