// Revocation of device and RIM chains: OCSP and CRL, freshness, which statement counts, and what the claims say of it.
#include <gmock/gmock.h>

#include "base/json.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using evidence::CertStatus;
using std::chrono::hours;

const evidence::OcspAnswer kRevoked{CertStatus::kRevoked, 1, kTestNow - hours(1)};
const evidence::OcspAnswer kHold{CertStatus::kRevoked, 6, kTestNow - hours(1)};

// Adds to what is there, where Answer replaces.
void AlsoAnswer(GpuWorld& w, const std::string& level, const evidence::OcspAnswer& answer, TimePoint this_update) {
  const std::vector<Bytes> before = w.collateral.ocsp_responses;
  w.Answer(level, answer, this_update);
  w.collateral.ocsp_responses.insert(w.collateral.ocsp_responses.end(), before.begin(), before.end());
}

void AddCrl(GpuWorld& w, const Party& issuer, const std::vector<evidence::CrlEntry>& entries, TimePoint from,
            TimePoint until) {
  w.collateral.crls.push_back(evidence::MakeCrl(issuer.certificate, issuer.key, from, until, entries).value());
}

// rule 14: gpu
TEST(VerifyGpuRevocation, NothingUndoesARevocation) {
  for (const char* level : {"device1", "rim0"}) {
    GpuWorld w;
    w.Answer(level, kRevoked, kTestNow - hours(3));
    AlsoAnswer(w, level, {}, kTestNow);
    EXPECT_TRUE(FirstCode(w.Run()).ends_with(".revoked")) << level;
  }
}

TEST(VerifyGpuRevocation, AHoldCanBeLifted) {
  GpuWorld w;
  w.Answer("rim0", kHold, kTestNow - hours(3));
  EXPECT_EQ(FirstCode(w.Run()), "rim.revoked");
  AlsoAnswer(w, "rim0", {}, kTestNow);
  EXPECT_TRUE(w.Run().accepted);
  AlsoAnswer(w, "rim0", kHold, kTestNow + std::chrono::minutes(1));  // and set again
  EXPECT_EQ(FirstCode(w.Run()), "rim.revoked");
}

// rule 14: rim
TEST(VerifyGpuRevocation, OnlyRimSignersMayBeOnHold) {
  GpuWorld w;
  w.options.allow_hold = true;
  w.Answer("rim0", kHold);
  Verdict v = w.Run();
  EXPECT_TRUE(v.accepted);
  const Json chain = Json::parse(v.claims_json)["x-nvidia-gpu-driver-rim-cert-chain"];
  EXPECT_EQ(chain["x-nvidia-cert-status"], "valid");
  EXPECT_EQ(chain["x-nvidia-cert-ocsp-status"], "revoked");
  EXPECT_EQ(chain["x-nvidia-cert-revocation-reason"], "certificateHold");
  EXPECT_EQ(Json::parse(v.claims_json)["x-nvidia-overall-att-result"], false);
  w.Answer("device1", kHold);
  v = w.Run();
  EXPECT_EQ(FirstCode(v), "gpu.revoked");
  EXPECT_EQ(Json::parse(v.claims_json)["x-nvidia-gpu-attestation-report-cert-chain"]["x-nvidia-cert-status"],
            "revoked");
}

TEST(VerifyGpuRevocation, ListsHaveAnAgeOfTheirOwn) {
  GpuWorld w;
  w.DropOcsp();
  for (const auto* chain : {&w.device, &w.rim}) {
    for (size_t i = 1; i < chain->size(); ++i)
      AddCrl(w, (*chain)[i], {}, kTestNow - hours(24 * 3), kTestNow + hours(24 * 30));
  }
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  w.options.crl_max_age = hours(24 * 2);
  EXPECT_EQ(FirstCode(w.Run()), "gpu.revocation-stale");
  w.options.crl_max_age = hours(24 * 60);
  w.now += hours(24 * 31);  // past nextUpdate
  EXPECT_EQ(FirstCode(w.Run()), "gpu.revocation-stale");
}

TEST(VerifyGpuRevocation, ListAndAnswerDisagree) {
  GpuWorld w;
  AddCrl(w, w.rim[1], {{w.rim[0].certificate.SerialNumber(), kTestNow - hours(48), 1}}, kTestNow - hours(24),
         kTestNow + hours(24));
  EXPECT_EQ(FirstCode(w.Run()), "rim.revoked");  // though the newer OCSP answer says good
  GpuWorld hold;
  AddCrl(hold, hold.rim[1], {{hold.rim[0].certificate.SerialNumber(), kTestNow - hours(48), 6}}, kTestNow - hours(24),
         kTestNow + hours(24));
  EXPECT_TRUE(hold.Run().accepted);  // lifted since
  GpuWorld someone_elses = w;
  someone_elses.collateral.crls.clear();
  AddCrl(someone_elses, w.rim[2], {{w.rim[0].certificate.SerialNumber(), kTestNow - hours(48), 1}},
         kTestNow - hours(24), kTestNow + hours(24));
  EXPECT_TRUE(someone_elses.Run().accepted);  // a list speaks of its issuer's certificates only
}

}  // namespace
}  // namespace ccgpu::verify
