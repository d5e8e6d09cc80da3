// VerifySnp on each kind of signer and product: VLEKs, Turin, version 2, and keys that are not what they should be.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/keys.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using evidence::TcbParts;

SnpWorld VlekWorld(const evidence::VcekExtensions& facts = {"Genoa", {std::nullopt, 9, 0, 23, 72}, {}, "CN=cloud"},
                   const std::string& name = "EMULATED SEV-VLEK") {
  SnpWorld w({{"snp0", [&](CertificateSpec& s) {
                 s.subject = {{"CN", name}};
                 s.extensions = evidence::MakeVcekExtensions(facts);
               }}});
  w.report.key_info = 1 << 2;
  w.report.chip_id = Bytes(64);
  w.Sign();
  w.evidence.certificates[0].type = "VLEK";
  return w;
}

TEST(VerifySnpVlek, OfACloud) {
  SnpWorld w = VlekWorld();
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  w.options.csp_ids = {"CN=another", "CN=cloud"};
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  w.options.csp_ids = {"CN=another"};
  EXPECT_EQ(FirstCode(w.Run()), "snp.provider-mismatch");
  EXPECT_EQ(w.Run().FirstFailure()->found, "CN=cloud");
}

// A host that masks its chips' keys signs by VLEK all the same.
TEST(VerifySnpVlek, MaskedChipKey) {
  SnpWorld w = VlekWorld();
  w.report.key_info |= evidence::snp_key_info::kMaskChipKey;
  w.Sign();
  w.evidence.certificates[0].type = "VLEK";
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

// rule 8: snp
TEST(VerifySnpVlek, Refusals) {
  EXPECT_EQ(FirstCode(VlekWorld({"Genoa", {std::nullopt, 9, 0, 23, 72}, {}, {}}).Run()), "snp.chain-profile");
  EXPECT_EQ(FirstCode(VlekWorld({"Genoa", {std::nullopt, 9, 0, 23, 72}, Bytes(64, 1), "CN=cloud"}).Run()),
            "snp.chain-profile");
  EXPECT_EQ(FirstCode(VlekWorld({"Genoa", {std::nullopt, 9, 0, 22, 72}, {}, "CN=cloud"}).Run()), "snp.tcb-mismatch");
  EXPECT_EQ(FirstCode(VlekWorld({"Milan", {std::nullopt, 9, 0, 23, 72}, {}, "CN=cloud"}).Run()),
            "snp.product-mismatch");
  EXPECT_EQ(FirstCode(VlekWorld({"Genoa", {std::nullopt, 9, 0, 23, 72}, {}, "CN=cloud"}, "EMULATED SEV-VCEK").Run()),
            "snp.chain-profile");
  SnpWorld missing = VlekWorld();
  missing.evidence.certificates[0].type = "VCEK";
  EXPECT_EQ(FirstCode(missing.Run()), "snp.chain-malformed");
  SnpWorld says_vcek = VlekWorld();
  says_vcek.report.key_info = 0;
  says_vcek.Sign();
  EXPECT_EQ(FirstCode(says_vcek.Run()), "snp.chain-profile");
}

// Turin: another order of the TCB's parts, one part more, a short chip id.
struct TurinWorld : SnpWorld {
  explicit TurinWorld(const evidence::VcekExtensions& facts = {"Turin", TcbParts{2, 9, 1, 4, 72}, Bytes(8, 0x66), {}})
      : SnpWorld({{"snp0", [&](CertificateSpec& s) { s.extensions = evidence::MakeVcekExtensions(facts); }}}) {
    report.version = 5;
    report.cpuid_family = 0x1a;
    report.cpuid_model = 2;
    report.chip_id = Bytes(64);
    std::fill(report.chip_id.begin(), report.chip_id.begin() + 8, 0x66);
    Level({2, 9, 1, 4, 72});
  }
  void Level(const TcbParts& parts) {
    report.reported_tcb = report.committed_tcb = report.current_tcb = report.launch_tcb = evidence::JoinTcb(parts);
    Sign();
  }
};

TEST(VerifySnpTurin, IsAcceptedAndItsPartsAreToldApart) {
  TurinWorld w;
  ASSERT_TRUE(w.Run().accepted) << w.Run().ToJson();
  const Json claims = Json::parse(w.Run().claims_json);
  EXPECT_EQ(claims["reported_tcb_fmc"], 2);
  EXPECT_EQ(claims["reported_tcb_snp"], 4);
  w.options.minimum_tcb = TcbParts{2, 9, 1, 4, 72};
  w.options.products = {"Turin"};
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

// rule 8: snp
TEST(VerifySnpTurin, Refusals) {
  for (const TcbParts& floor :
       {TcbParts{3, 0, 0, 0, 0}, {0, 10, 0, 0, 0}, {0, 0, 2, 0, 0}, {0, 0, 0, 5, 0}, TcbParts{0, 0, 0, 0, 73}}) {
    TurinWorld w;
    w.options.minimum_tcb = floor;
    EXPECT_EQ(FirstCode(w.Run()), "snp.tcb-too-old") << floor.ToString();
  }
  for (const TcbParts& level :
       {TcbParts{1, 9, 1, 4, 72}, {2, 8, 1, 4, 72}, {2, 9, 0, 4, 72}, {2, 9, 1, 3, 72}, TcbParts{2, 9, 1, 4, 71}}) {
    TurinWorld w;
    w.Level(level);
    EXPECT_EQ(FirstCode(w.Run()), "snp.tcb-mismatch") << level.ToString();
  }
  // A key of the old layout, and one with the long chip id of other products.
  EXPECT_EQ(FirstCode(TurinWorld({"Turin", {std::nullopt, 9, 1, 4, 72}, Bytes(64, 0x66), {}}).Run()),
            "snp.tcb-mismatch");
  EXPECT_EQ(FirstCode(TurinWorld({"Turin", {2, 9, 1, 4, 72}, Bytes(64, 0x66), {}}).Run()), "snp.chain-profile");
  TurinWorld longer;  // more bytes than the certified id has
  longer.report.chip_id[8] = 1;
  longer.Sign();
  EXPECT_EQ(FirstCode(longer.Run()), "snp.chip-id-mismatch");
  TurinWorld genoa;
  genoa.report.cpuid_family = 0x19;
  genoa.report.cpuid_model = 0x11;
  genoa.Level({std::nullopt, 9, 1, 4, 72});
  EXPECT_EQ(FirstCode(genoa.Run()), "snp.tcb-mismatch");
}

// Version 2 does not name the CPU; the short chip id says that it is a Turin.
TEST(VerifySnpTurin, Version2) {
  TurinWorld w;
  w.report.version = 2;
  w.report.cpuid_family = w.report.cpuid_model = 0;
  w.Sign();
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  w.options.minimum_tcb = TcbParts{3, 0, 0, 0, 0};
  EXPECT_EQ(FirstCode(w.Run()), "snp.tcb-too-old");
}

// rule 5: snp
// advisory: CVE-2020-0601
TEST(VerifySnpKey, ExplicitCurveParametersAreRefused) {
  SnpWorld w;
  const crypto::PrivateKey key = w.chain[0].key;
  SnpWorld bad({{"snp0", [&](CertificateSpec& s) { s.key = test::WithExplicitCurve(key); }}});
  ASSERT_GT(bad.chain[0].certificate.Der().size(), w.chain[0].certificate.Der().size() + 100);
  EXPECT_EQ(FirstCode(bad.Run()), "snp.chain-invalid") << bad.Run().ToJson();
}

// r or s of 0, of the group's order and above it: values that OpenSSL's callers have let pass before.
// rule 5: snp
// advisory: CVE-2022-21449
TEST(VerifySnpKey, SignatureValuesOutOfRange) {
  const Bytes order =
      HexDecode("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
          .value();
  const auto little = [](Bytes big) {
    std::reverse(big.begin(), big.end());
    big.resize(72);
    return big;
  };
  for (const Bytes& value : {Bytes(48), order, Bytes(48, 0xff)}) {
    for (int which = 0; which < 3; ++which) {
      SnpWorld w;
      evidence::SnpReport report = evidence::ParseSnpReport(w.evidence.report).value();
      if (which != 1) report.signature_r = little(value);
      if (which != 0) report.signature_s = little(value);
      w.evidence.report = evidence::EncodeSnpReport(report);
      EXPECT_EQ(FirstCode(w.Run()), "snp.signature-invalid") << HexEncode(value) << which;
    }
  }
  // n - s is a valid signature too (ECDSA is malleable): it says the same of the same bytes, so accepting it is no
  // fault.
  SnpWorld w;
  w.report.signature_r = Bytes(72);
  w.evidence.report[0x2a0 + 48] = 1;  // r of more than 384 bits
  EXPECT_EQ(FirstCode(w.Run()), "snp.signature-invalid");
}

// Cut certificates and noise instead of them are refusals, not crashes.
// rule 15: snp
// advisory: agentrust-445
TEST(VerifySnpKey, CertificatesThatAreNone) {
  const SnpWorld good;
  for (size_t which : {0u, 1u}) {
    const Bytes der = good.evidence.certificates[which].der;
    for (size_t size = 0; size < der.size(); size += 7) {
      SnpWorld w = good;
      w.evidence.certificates[which].der.resize(size);
      EXPECT_FALSE(w.Run().accepted) << which << " cut to " << size;
    }
    SnpWorld longer = good;
    longer.evidence.certificates[which].der.push_back(0);
    EXPECT_EQ(FirstCode(longer.Run()), "snp.chain-malformed");
    SnpWorld pem = good;
    pem.evidence.certificates[which].der = ToBytes(AsBytes("-----BEGIN CERTIFICATE-----\n!!!!\n"));
    EXPECT_EQ(FirstCode(pem.Run()), "snp.chain-malformed");
  }
}

// -- real certificates of products of which there is no real report --

// rule 4: snp
TEST(VerifyRealSnp, RealTurinKeyDoesNotFitAnotherReport) {
  SKIP_WITHOUT_VECTORS();
  TurinWorld w;
  w.evidence.certificates = {{"VCEK", test::VectorBytes("snp/virtee_vcek_turin.der")}};
  w.anchors = BuiltinAnchors();
  w.now = ParseTime("2026-01-01").value();
  EXPECT_EQ(FirstCode(w.Run()), "snp.signature-invalid") << w.Run().ToJson();
  EXPECT_EQ(w.Run().environment, "hardware");
}

}  // namespace
}  // namespace ccgpu::verify
