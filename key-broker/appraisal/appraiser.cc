#include "key-broker/appraisal/appraiser.h"

#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/binding.h"
#include "trust/kbs/initdata.h"
#include "trust/verify/claims_map.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kMaxDevices = 16;  // GPUs and switches

Appraisal Refused(Error why) {
  Appraisal out;
  out.why = std::move(why);
  return out;
}

struct Prepared {
  evidence::CompositeEvidence composite;
  verify::CompositeOptions options;
};

// Everything that the evidence must commit to is computed here, from the request and never from the evidence.
Result<Prepared> Prepare(const std::string& tee, const kbs::AttestRequest& request) {
  if (!evidence::IsKnownTee(tee))
    return Err("attest.unsupported-tee", tee, "this broker verifies " + evidence::KnownTees());
  Prepared out;
  ASSIGN_OR_RETURN(out.composite.nonce, Base64Decode(request.nonce));
  ASSIGN_OR_RETURN(out.composite.cpu, evidence::CpuEvidenceFromJson(tee, request.primary_evidence_json));
  ASSIGN_OR_RETURN(out.composite.gpus, evidence::GpusOfAdditionalEvidence(request.additional_evidence));
  if (out.composite.gpus.size() > kMaxDevices) {
    return Err("attest.too-many-gpus", "additional_evidence",
               "holds " + std::to_string(out.composite.gpus.size()) + " GPUs and switches; at most 16 are verified");
  }
  out.composite.tee_pubkey = request.tee_pubkey.ToJson();
  out.composite.additional_evidence = request.additional_evidence;
  out.options.gpu.nonce = kbs::GpuNonce(kbs::DeviceReportData(request.nonce, request.tee_pubkey));
  out.options.report_data =
      kbs::SnpReportData(kbs::PrimaryReportData(request.nonce, request.tee_pubkey, request.additional_evidence));
  if (request.init_data) {
    ASSIGN_OR_RETURN(const kbs::InitData init, kbs::ParseInitData(*request.init_data));
    out.composite.init_data = *request.init_data;
    out.options.init_data_digest = init.digest;
  }
  return out;
}

std::vector<kbs::EarSubmod> Submods(const kbs::AttestRequest& request, const verify::Verdict& verdict) {
  const std::string runtime = R"("runtime_data_claims":{"nonce":)" + Json(request.nonce).dump() + R"(,"tee-pubkey":)" +
                              request.tee_pubkey.ToJson() + "}";
  const verify::Claims& claims = **verdict.verified;
  Json cpu = {{"measurement", claims.cpu.measurement}, {"init_data", claims.cpu.init_data}};
  // CoCo's policies look for HOST_DATA by this name.
  if (claims.cpu.tee == "snp") cpu["host_data"] = claims.cpu.init_data;
  std::vector<kbs::EarSubmod> out;
  out.push_back({"cpu0", verify::TrustVectorOf(verdict, "cpu0"),
                 R"({"init_data":")" + claims.cpu.init_data + R"(",")" + claims.cpu.tee + R"(":)" + cpu.dump() + "," +
                     runtime + "}"});
  const auto add = [&](const std::string& part, const Json& facts) {
    out.push_back({part, verify::TrustVectorOf(verdict, part), R"({"nvidia":)" + facts.dump() + "}"});
  };
  for (size_t i = 0; i < claims.gpus.size(); ++i) {
    const verify::GpuFacts& gpu = claims.gpus[i];
    add("gpu" + std::to_string(i), {{"uuid", gpu.uuid},
                                    {"ueid", gpu.ueid},
                                    {"hwmodel", gpu.hwmodel},
                                    {"driver_version", gpu.driver_version},
                                    {"vbios_version", gpu.vbios_version}});
  }
  for (size_t i = 0; i < claims.switches.size(); ++i)
    add("switch" + std::to_string(i),
        {{"ueid", claims.switches[i].ueid}, {"bios_version", claims.switches[i].vbios_version}});
  return out;
}

bool NeedsDocument(const verify::Check& check) {
  const std::string& code = check.reason.code;
  return code == "rim.not-found" || code.ends_with(".revocation-missing") || code.ends_with(".revocation-stale") ||
         code == "tdx.tcb-info-missing" || code == "tdx.qe-identity-missing" || code == "tdx.collateral-stale";
}

// The first failure that no document could mend; nullptr when there is none.
const verify::Check* FatalFailure(const verify::Verdict& verdict) {
  for (const auto& check : verdict.checks) {
    if (check.outcome == verify::Check::Outcome::kFailed && !NeedsDocument(check)) return &check;
  }
  return nullptr;
}

}  // namespace

Appraisal EvidenceAppraiser::Appraise(const std::string& tee, const kbs::AttestRequest& request, TimePoint now) {
  auto prepared = Prepare(tee, request);
  if (!prepared.ok()) return Refused(prepared.error());
  const evidence::Unverified<evidence::CompositeEvidence> composite(prepared->composite);
  FoundCollateral collateral = collateral_.For(prepared->composite.gpus, false, now);
  collateral_.AddForCpu(prepared->composite.cpu, false, now, collateral);
  verify::Verdict verdict =
      verify::VerifyComposite(composite, collateral.documents, anchors_, prepared->options, now, &cache_);
  // Documents are fetched only for evidence that they can still save: so nobody makes the broker send requests with
  // evidence that is worth nothing anyway.
  if (!verdict.accepted && !FatalFailure(verdict)) {
    collateral = collateral_.For(prepared->composite.gpus, true, now);
    collateral_.AddForCpu(prepared->composite.cpu, true, now, collateral);
    verdict = verify::VerifyComposite(composite, collateral.documents, anchors_, prepared->options, now, &cache_);
  }
  Appraisal out;
  out.environment = verdict.environment;
  out.claims_json = verdict.claims_json;
  if (!verdict.accepted || !verdict.verified) {
    out.failed_json = verdict.FailedChecksJson();
    const verify::Check* failure = FatalFailure(verdict);
    if (!failure) failure = verdict.FirstFailure();
    out.why = failure ? failure->reason.In(failure->name) : Err("attest.refused", "evidence", "was not accepted");
    for (const Error& problem : collateral.problems) out.why.text += "; " + problem.ToString();
    return out;
  }
  out.submods = Submods(request, verdict);
  out.accepted = true;
  return out;
}

}  // namespace ccgpu::broker
