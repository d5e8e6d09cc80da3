// What a verdict explains and claims: nearest RIMs, NVIDIA's names, the three protections; new forms of evidence.
#include <gmock/gmock.h>

#include "base/json.h"
#include "trust/evidence/der.h"
#include "trust/verify/testing/fabric.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace der = evidence::der;
namespace ot = evidence::opaque_type;

constexpr char kDriverRim[] = "NV_GPU_DRIVER_GH100_550.90.07", kOtherDriverRim[] = "NV_GPU_DRIVER_GH100_550.54.15";
constexpr char kVbiosRim[] = "NV_GPU_VBIOS_1010_0200_882_96009F0001";

Json ClaimsOf(const Verdict& v) { return Json::parse(v.claims_json); }

// A RIM of another driver that fits what runs, which the driver RIM of the reported version does not.
GpuWorld WithNearerRim() {
  GpuWorld w;
  evidence::Rim other = w.driver_spec;
  other.colloquial_version = "550.54.15";
  other.measurements[1].alternatives = {Bytes(48, 7)};
  w.report.measurements[other.measurements[1].index] = Bytes(48, 7);
  w.report.measurements[other.measurements[2].index] = Bytes(48, 8);
  w.Sign();
  w.collateral.rims[kOtherDriverRim] = evidence::MakeRim(other, w.rim[0].key, CertificatesOf(w.rim)).value();
  return w;
}

// rule 13: gpu
TEST(VerifyGpuExplains, TheNearestRim) {
  const Verdict v = WithNearerRim().Run();
  ASSERT_EQ(FirstCode(v), "gpu.measurement-mismatch");
  EXPECT_THAT(
      v.FirstFailure()->reason.text,
      AllOf(HasSubstr("2 measurements differ"), HasSubstr(kDriverRim), HasSubstr("SEC2 runtime firmware (index 21)"),
            HasSubstr(std::string("nearest RIM there is \"") + kOtherDriverRim + "\", which fits 20 of its 21"),
            Not(HasSubstr(kVbiosRim))));
  const Json claims = ClaimsOf(v);
  EXPECT_EQ(claims["nearest-rims"]["driver"]["id"], kOtherDriverRim);
  EXPECT_EQ(claims["nearest-rims"]["driver"]["matching"], 20);
  EXPECT_FALSE(claims["nearest-rims"].contains("vbios"));
  const Json record = claims["x-nvidia-mismatch-measurement-records"][0];
  EXPECT_EQ(record["rim"], kDriverRim);
  EXPECT_EQ(record["goldenSize"], 48);
  EXPECT_EQ(record["component"], "SEC2 runtime firmware (index 21)");
}

TEST(VerifyGpuExplains, WhatIsThereWhenARimIsMissing) {
  GpuWorld w = WithNearerRim();
  w.collateral.rims.erase(kDriverRim);
  EXPECT_THAT(w.Run().FirstFailure()->reason.text,
              AllOf(HasSubstr(std::string("no RIM \"") + kDriverRim + "\""), HasSubstr(kVbiosRim),
                    HasSubstr(std::string("nearest RIM there is \"") + kOtherDriverRim)));
  w.collateral.rims.clear();
  EXPECT_THAT(w.Run().FirstFailure()->reason.text, AllOf(HasSubstr("no RIMs at all"), HasSubstr("no other RIM")));
  w.collateral.rims[kOtherDriverRim] = "<not a RIM";
  EXPECT_THAT(w.Run().FirstFailure()->reason.text, HasSubstr("no other RIM"));
}

TEST(VerifyGpuExplains, DifferencesFromBothRims) {
  GpuWorld w;
  w.report.measurements[2] = w.report.measurements[7] = Bytes(48, 1);
  w.Sign();
  const std::string text = w.Run().FirstFailure()->reason.text;
  EXPECT_THAT(text,
              AllOf(HasSubstr(std::string("from RIM \"") + kVbiosRim + "\": VBIOS image (index 2)"),
                    HasSubstr(std::string("from RIM \"") + kDriverRim + "\": GSP-RM firmware (driver) (index 7)")));
}

const std::vector<std::string> kChainNames = {"x-nvidia-cert-expiration-date",     "x-nvidia-cert-status",
                                              "x-nvidia-cert-ocsp-status",         "x-nvidia-cert-ocsp-nonce-matches",
                                              "x-nvidia-cert-ocsp-response-valid", "x-nvidia-cert-revocation-reason"};

void ExpectNames(const Json& claims, const std::string& prefix, const std::vector<std::string>& rims) {
  std::vector<std::string> names = {"measres",
                                    "secboot",
                                    "dbgstat",
                                    "hwmodel",
                                    "ueid",
                                    "oemid",
                                    "eat_nonce",
                                    "x-nvidia-device-type",
                                    "x-nvidia-overall-att-result",
                                    "x-nvidia-mismatch-measurement-records",
                                    "x-nvidia-attestation-warning",
                                    "data_confidentiality",
                                    "data_integrity",
                                    "code_integrity"};
  for (const char* name :
       {"arch-check", "claims-version", "attestation-report-cert-chain", "attestation-report-cert-chain-fwid-match",
        "attestation-report-parsed", "attestation-report-nonce-match", "attestation-report-signature-verified"})
    names.push_back(prefix + name);
  for (const std::string& rim : rims) {
    for (const char* name :
         {"fetched", "schema-validated", "cert-chain", "signature-verified", "version-match", "measurements-available"})
      names.push_back(prefix + rim + "-rim-" + name);
    for (const std::string& name : kChainNames)
      EXPECT_TRUE(claims[prefix + rim + "-rim-cert-chain"].contains(name)) << name;
  }
  for (const std::string& name : names) EXPECT_TRUE(claims.contains(name)) << name;
}

TEST(VerifyGpuClaims, HaveAllNamesAlsoWhenRefused) {
  for (const bool broken : {false, true}) {
    GpuWorld w;
    if (broken) w.evidence.report.clear(), w.collateral = {};
    Json claims = ClaimsOf(w.Run());
    if (broken) claims["oemid"] = nullptr;  // comes from a RIM
    ExpectNames(claims, "x-nvidia-gpu-", {"driver", "vbios"});
    for (const char* name : {"driver-version", "vbios-version", "vbios-index-no-conflict", "switch-pdis", "mode"})
      EXPECT_TRUE(claims.contains(std::string("x-nvidia-gpu-") + name)) << name;
    EXPECT_EQ(claims["x-nvidia-overall-att-result"], !broken);
    GpuWorld nvswitch = SwitchWorld(0x60);
    if (broken) nvswitch.evidence.report.clear(), nvswitch.collateral = {};
    claims = ClaimsOf(nvswitch.RunSwitch());
    if (broken) claims["oemid"] = nullptr;
    ExpectNames(claims, "x-nvidia-switch-", {"bios"});
    for (const char* name : {"bios-version", "pdi", "gpu-pdis"})
      EXPECT_TRUE(claims.contains(std::string("x-nvidia-switch-") + name)) << name;
    EXPECT_EQ(claims["x-nvidia-overall-att-result"], !broken);
  }
}

// NVIDIA's result says that revocation was asked for and is good, whatever our options require.
TEST(VerifyGpuClaims, OverallResultWantsRevocationAnswered) {
  GpuWorld w;
  w.options.require_revocation = false;
  w.DropOcsp();
  const Verdict v = w.Run();
  EXPECT_TRUE(v.accepted);
  EXPECT_EQ(ClaimsOf(v)["x-nvidia-overall-att-result"], false);
  EXPECT_EQ(ClaimsOf(v)["x-nvidia-gpu-driver-rim-cert-chain"]["x-nvidia-cert-ocsp-status"], "undefined");
}

void ExpectProtection(const Verdict& v, const char* confidentiality, const char* integrity, const char* code) {
  const Json claims = ClaimsOf(v);
  EXPECT_EQ(claims["data_confidentiality"], confidentiality) << claims["protection_notes"];
  EXPECT_EQ(claims["data_integrity"], integrity) << claims["protection_notes"];
  EXPECT_EQ(claims["code_integrity"], code) << claims["protection_notes"];
}

TEST(VerifyGpuClaims, Protections) {
  GpuWorld w;
  ExpectProtection(w.Run(), "yes", "yes", "yes");
  const auto in_mode = [](const char* mode) {
    GpuWorld out;
    out.report.measurements[evidence::kIndexCcMode] = evidence::CcModeMeasurement(mode);
    out.Sign();
    return out;
  };
  ExpectProtection(in_mode("off").Run(), "no", "no", "no");
  GpuWorld devtools = in_mode("devtools");
  devtools.options.allow_devtools = true;
  const Verdict accepted = devtools.Run();
  EXPECT_TRUE(accepted.accepted);
  ExpectProtection(accepted, "no", "no", "no");
  EXPECT_EQ(ClaimsOf(accepted)["dbgstat"], nullptr);
  GpuWorld refused;
  refused.options.nonce[0] ^= 1;
  ExpectProtection(refused.Run(), "unproven", "unproven", "unproven");
  GpuWorld other_firmware;
  other_firmware.report.measurements[7] = Bytes(48, 1);
  other_firmware.Sign();
  ExpectProtection(other_firmware.Run(), "unproven", "unproven", "no");
  ExpectProtection(SwitchWorld(0x61).RunSwitch(), "no", "no", "yes");
}

// A Blackwell device: DiceTcbInfo in the leaf, its chip in the driver RIM's id, the new form of opaque data.
GpuWorld Blackwell() {
  const Bytes fwid(48, 0x5a);
  const Bytes sha384 = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};
  const Bytes pair =
      der::Element(der::kSequence, {der::Element(der::kOid, sha384), der::Element(der::kOctetString, fwid)});
  const Bytes info =
      der::Element(der::kSequence, {der::Element(0x80, AsBytes("NVIDIA")), der::Element(0xa6, {pair, pair})});
  const auto named = [](const char* name) {
    return [name](crypto::CertificateSpec& s) { s.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", name}}; };
  };
  GpuWorld w({{"device0",
               [=](crypto::CertificateSpec& s) {
                 named("GB100 A01 GSP FMC LF")(s);
                 s.extensions = {{evidence::kOidDiceTcbInfo, info, false}};
               }},
              {"device1", [=](crypto::CertificateSpec& s) { named("GB100 A01 GSP BROM")(s); }}});
  w.report.opaque.Set(ot::kGpuInfo, {0xa0, 1, 0, 0, 0, 0, 0, 0});
  w.report.opaque.SetText(ot::kChipInfo, "GB100");
  w.report.opaque.versioned = true;
  w.report.opaque.major = 2;
  w.report.opaque.fields.push_back({ot::kFspUcodeSvn, {5, 0}, evidence::kSvnValueType});
  w.report.opaque.fields.push_back({0x4242, {1, 2, 3}, 0x99});  // what nobody knows yet is kept and not judged
  w.collateral.rims.clear();
  w.Endorse();
  w.Sign();
  w.evidence.arch = "BLACKWELL";
  return w;
}

TEST(VerifyBlackwell, IsAccepted) {
  const GpuWorld w = Blackwell();
  ASSERT_TRUE(w.collateral.rims.contains("NV_GPU_CC_DRIVER_GB100_550.90.07"));
  const Verdict v = w.Run();
  EXPECT_TRUE(v.accepted) << v.ToJson();
}

TEST(VerifyBlackwell, FirmwareIdIsCompared) {
  GpuWorld w = Blackwell();
  w.report.opaque.Set(ot::kFwid, Bytes(48, 0x5b));
  w.Sign();
  w.evidence.arch = "BLACKWELL";
  EXPECT_EQ(FirstCode(w.Run()), "gpu.fwid-mismatch");
}

// rule 13: gpu
TEST(VerifyBlackwell, SecurityVersionFloor) {
  const auto code = [](uint64_t least, const std::function<void(evidence::OpaqueData&)>& change = nullptr) {
    GpuWorld w = Blackwell();
    if (change) change(w.report.opaque);
    w.Sign();
    w.evidence.arch = "BLACKWELL";
    w.options.minimum_svn[ot::kFspUcodeSvn] = least;
    return FirstCode(w.Run());
  };
  const auto set = [](uint16_t value_type, Bytes data) {
    return [=](evidence::OpaqueData& opaque) {
      for (auto& field : opaque.fields) {
        if (field.type == ot::kFspUcodeSvn) field.value_type = value_type, field.data = data;
      }
    };
  };
  EXPECT_EQ(code(5), "");
  EXPECT_EQ(code(6), "gpu.svn-floor");
  EXPECT_EQ(code(0x0100, set(evidence::kSvnValueType, {0, 1})), "");  // little-endian
  EXPECT_EQ(code(0x0101, set(evidence::kSvnValueType, {0, 1})), "gpu.svn-floor");
  EXPECT_EQ(code(1, set(0x86, {5, 0})), "gpu.svn-floor");  // something else of the same number
  EXPECT_EQ(code(1, set(evidence::kSvnValueType, {})), "gpu.svn-floor");
  EXPECT_EQ(code(1, set(evidence::kSvnValueType, Bytes(9, 1))), "gpu.svn-floor");
  EXPECT_EQ(code(0,
                 [](evidence::OpaqueData& opaque) {
                   std::erase_if(opaque.fields, [](const auto& f) { return f.type == ot::kFspUcodeSvn; });
                 }),
            "gpu.svn-floor");
  EXPECT_EQ(code(5, [](evidence::OpaqueData& opaque) { opaque.versioned = false; }), "gpu.svn-floor");
}

}  // namespace
}  // namespace ccgpu::verify
