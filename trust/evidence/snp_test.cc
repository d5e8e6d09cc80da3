#include <gmock/gmock.h>

#include "trust/evidence/composite.h"
#include "trust/evidence/snp_certs.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using ::testing::HasSubstr;

struct Real {
  const char* report;
  const char* certificate;  // "" when there is none
  uint32_t version;
};
class RealSnp : public ::testing::TestWithParam<Real> {};

TEST_P(RealSnp, RoundTripsAndVerifies) {
  SKIP_WITHOUT_VECTORS();
  const Bytes bytes = test::VectorBytes(GetParam().report);
  const auto report = ParseSnpReport(bytes);
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_EQ(report->version, GetParam().version);
  EXPECT_EQ(EncodeSnpReport(*report), bytes);
  const auto again = SnpReportFromJson(SnpReportToJson(*report));
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(EncodeSnpReport(*again), bytes);
  if (std::string(GetParam().certificate).empty()) return;
  const std::string text = test::VectorText(GetParam().certificate);
  const auto vcek = text.starts_with("-----") ? crypto::Certificate::FromPem(text).value()
                                              : crypto::Certificate::FromDer(AsBytes(text)).value();
  EXPECT_TRUE(
      vcek.key().VerifyRaw(crypto::Hash::kSha384, ByteView(bytes).first(kSnpSignedSize), report->RawSignature()));
  const auto facts = ReadVcekExtensions(vcek);
  ASSERT_TRUE(facts.ok()) << facts.error().ToString();
  EXPECT_EQ(facts->tcb, SplitTcb(report->reported_tcb, report->IsTurin()));
  EXPECT_EQ(*facts->hardware_id, report->chip_id);
}

INSTANTIATE_TEST_SUITE_P(Vectors, RealSnp,
                         ::testing::Values(Real{"snp/virtee_report_milan.bin", "snp/virtee_vcek_milan.der", 2},
                                           Real{"snp/gosev_attestation.bin", "snp/gosev_vcek.testcer", 2},
                                           Real{"snp/azure_genoa_report.bin", "snp/azure_genoa_vcek.pem", 3},
                                           Real{"snp/msft_aci_snp_report.bin", "", 2}));

TEST(SnpCerts, RealTurinExtensions) {
  SKIP_WITHOUT_VECTORS();
  const auto vcek = crypto::Certificate::FromDer(test::VectorBytes("snp/virtee_vcek_turin.der")).value();
  const auto facts = ReadVcekExtensions(vcek).value();
  EXPECT_EQ(facts.product, "Turin");
  EXPECT_TRUE(facts.tcb.fmc.has_value());
  EXPECT_EQ(facts.hardware_id->size(), 8u);
}

SnpReport Sample(uint32_t version, uint8_t family) {
  SnpReport r;
  r.version = version;
  r.report_data = Bytes(64, 0xaa);
  r.host_data = Bytes(32, 0xbb);
  r.measurement = Bytes(48, 0xcc);
  if (version >= 3) r.cpuid_family = family;
  r.cpuid_model = version >= 3 ? 0x11 : 0;
  TcbParts tcb{std::nullopt, 9, 0, 23, 72};
  if (family == 0x1a) tcb.fmc = 4;
  r.reported_tcb = r.current_tcb = r.committed_tcb = r.launch_tcb = JoinTcb(tcb);
  if (version >= 5) r.launch_mit_vector = UINT64_MAX, r.current_mit_vector = 11;
  r.policy = UINT64_MAX >> 1;
  return r;
}

TEST(SnpReport, SignedRoundTripOfEachVersion) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  for (auto [version, family] : {std::pair<uint32_t, uint8_t>(2, 0x19), {3, 0x19}, {5, 0x19}, {3, 0x1a}, {5, 0x1a}}) {
    SnpReport report = Sample(version, family);
    const Bytes bytes = SignSnpReport(report, key);
    const auto parsed = ParseSnpReport(bytes);
    ASSERT_TRUE(parsed.ok()) << version << ": " << parsed.error().ToString();
    EXPECT_TRUE(key.public_key().VerifyRaw(crypto::Hash::kSha384, ByteView(bytes).first(kSnpSignedSize),
                                           parsed->RawSignature()));
    EXPECT_EQ(EncodeSnpReport(SnpReportFromJson(SnpReportToJson(*parsed)).value()), bytes);
    EXPECT_EQ(SplitTcb(parsed->reported_tcb, parsed->IsTurin()).microcode, 72);
    EXPECT_EQ(SplitTcb(parsed->reported_tcb, parsed->IsTurin()).snp, 23);
  }
}

// rule 15: snp
TEST(SnpReport, WrongSizesAndReservedBytes) {
  SnpReport report = Sample(3, 0x19);
  const Bytes bytes = SignSnpReport(report, crypto::PrivateKey::Generate(crypto::KeyType::kP384));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ParseSnpReport(ByteView(bytes).first(size)).ok()) << size;
  EXPECT_FALSE(ParseSnpReport(Concat({bytes, Bytes{0}})).ok());
  // Every reserved byte: after key info, after the CPUID, version paddings, mitigation vectors of v3, the tail, the
  // signature's rest, TCB middles.
  std::vector<size_t> reserved = {0x4c,  0x4f,  0x18b,       0x19f, 0x1eb,    0x1ef,     0x1f8,     0x207,
                                  0x208, 0x29f, 0x2a0 + 144, 0x49f, 0x38 + 2, 0x180 + 5, 0x1e0 + 3, 0x1f0 + 4};
  for (size_t at : reserved) {
    Bytes bad = bytes;
    bad[at] ^= 1;
    const auto parsed = ParseSnpReport(bad);
    ASSERT_FALSE(parsed.ok()) << std::hex << at;
    EXPECT_EQ(parsed.error().code, "snp.report-malformed");
  }
  for (uint8_t version : {0, 1, 4, 6, 255}) {
    Bytes bad = bytes;
    bad[0] = version;
    EXPECT_FALSE(ParseSnpReport(bad).ok()) << int{version};
  }
}

// rule 5: snp
TEST(SnpReport, SignatureNumberWiderThan48Bytes) {
  SnpReport report = Sample(3, 0x19);
  SignSnpReport(report, crypto::PrivateKey::Generate(crypto::KeyType::kP384));
  report.signature_r[48] = 1;
  EXPECT_TRUE(report.RawSignature().empty());
}

// rule 8: snp
TEST(Tcb, PartsAreComparedOneByOne) {
  const TcbParts floor{std::nullopt, 3, 0, 8, 115};
  EXPECT_TRUE((TcbParts{std::nullopt, 3, 0, 8, 115}.AtLeast(floor)));
  EXPECT_FALSE((TcbParts{std::nullopt, 3, 0, 7, 200}.AtLeast(floor)));  // as one number it would be larger
  EXPECT_FALSE((TcbParts{std::nullopt, 2, 9, 9, 200}.AtLeast(floor)));
  EXPECT_FALSE((TcbParts{std::nullopt, 9, 9, 9, 9}.AtLeast(TcbParts{1, 0, 0, 0, 0})));
}

// rule 15: snp
TEST(SnpJson, FaultsAreRefused) {
  const std::string good = SnpReportToJson(Sample(3, 0x19));
  ASSERT_TRUE(SnpReportFromJson(good).ok());
  const auto edit = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return SnpReportFromJson(text.replace(at, from.size(), to));
  };
  EXPECT_THAT(edit("\"vmpl\":0", "\"vmpl\":-1").error().subject, HasSubstr("vmpl"));
  EXPECT_FALSE(edit("\"vmpl\":0", "\"vmpl\":\"0\"").ok());
  EXPECT_FALSE(edit("\"vmpl\":0", "\"vmpl\":4294967296").ok());
  EXPECT_FALSE(edit("\"vmpl\":0,", "").ok());
  EXPECT_FALSE(edit("\"vmpl\":0", "\"vmpl\":0,\"vmpl\":1").ok());
  EXPECT_FALSE(edit("\"vmpl\":0", "\"vmpl\":0,\"more\":1").ok());
  EXPECT_FALSE(edit("\"report_data\":[170,", "\"report_data\":[").ok());
  EXPECT_FALSE(edit("\"report_data\":[170,", "\"report_data\":[256,").ok());
  EXPECT_FALSE(edit("\"fmc\":null", "\"fmc\":1").ok());
  EXPECT_FALSE(edit("\"version\":3", "\"version\":2").ok());  // then the CPUID bytes are reserved
}

TEST(SnpCerts, TableRoundTrip) {
  const std::vector<SnpCertificate> certificates = {{"VCEK", Bytes(900, 1)}, {"ASK", Bytes(5, 2)}, {"ARK", {}}};
  const Bytes table = EncodeCertTable(certificates);
  const auto parsed = ParseCertTable(table).value();
  ASSERT_EQ(parsed.size(), 3u);
  EXPECT_EQ(parsed[0].type, "VCEK");
  EXPECT_EQ(parsed[0].der, Bytes(900, 1));
  EXPECT_EQ(parsed[2].type, "ARK");
  for (size_t size = 0; size < 4 * 24; ++size) EXPECT_FALSE(ParseCertTable(ByteView(table).first(size)).ok()) << size;
  Bytes past = table;
  past[16 + 3] = 0x7f;  // an offset far beyond
  EXPECT_FALSE(ParseCertTable(past).ok());
  // AMD's GUID of a VCEK, in the order of its text: a table of a real host with a VLEK begins with a8074bc2a25a483e...
  EXPECT_EQ(HexEncode(ByteView(table).first(16)), "63da758de6644564adc5f4b93be8accd");
}

TEST(SnpCerts, VcekExtensionsRoundTrip) {
  const auto ark = crypto::PrivateKey::Generate(crypto::KeyType::kRsa2048);
  const auto vcek = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  VcekExtensions facts{"Genoa", {std::nullopt, 10, 0, 23, 200}, Bytes(64, 9), std::nullopt};
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "SEV-VCEK"}};
  spec.key = vcek.public_key();
  spec.not_after = TimePoint(std::chrono::seconds(4000000000));
  spec.pss_signature = true;
  spec.extensions = MakeVcekExtensions(facts);
  auto read = ReadVcekExtensions(crypto::MakeCertificate(spec, ark, nullptr).value());
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->product, "Genoa");
  EXPECT_EQ(read->tcb, facts.tcb);
  EXPECT_EQ(*read->hardware_id, Bytes(64, 9));
  spec.extensions.push_back(spec.extensions[3]);  // one part twice
  EXPECT_FALSE(ReadVcekExtensions(crypto::MakeCertificate(spec, ark, nullptr).value()).ok());
}

CompositeEvidence SampleComposite() {
  CompositeEvidence e;
  e.nonce = Bytes(32, 1);
  e.tee_pubkey = R"({"alg":"x","crv":"P-256","kty":"EC","x":"a","y":"b"})";
  SnpReport report = Sample(3, 0x19);
  e.cpu = SnpEvidence{EncodeSnpReport(report), {{"VCEK", Bytes(10, 3)}}};
  e.gpus = {{"HOPPER", "GPU-1", Bytes(100, 4), "PEM"}};
  e.init_data = "version = \"0.1.0\"\n";
  e.collateral.rims["A"] = "<x/>";
  e.collateral.ocsp_responses = {{1, 2}};
  return e;
}

TEST(Composite, RoundTrip) {
  const CompositeEvidence e = SampleComposite();
  const auto parsed = ParseComposite(EncodeComposite(e));
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(parsed->nonce, e.nonce);
  const auto& cpu = std::get<SnpEvidence>(parsed->cpu);
  EXPECT_EQ(cpu.report, std::get<SnpEvidence>(e.cpu).report);
  EXPECT_EQ(cpu.certificates[0].der, std::get<SnpEvidence>(e.cpu).certificates[0].der);
  EXPECT_EQ(parsed->gpus[0].report, e.gpus[0].report);
  EXPECT_EQ(parsed->gpus[0].certificate_chain, "PEM");
  EXPECT_EQ(parsed->additional_evidence, AdditionalEvidence(e.gpus));
  EXPECT_EQ(parsed->init_data, e.init_data);
  EXPECT_EQ(parsed->collateral.rims.at("A"), "<x/>");
  EXPECT_EQ(parsed->collateral.ocsp_responses[0], (Bytes{1, 2}));
  EXPECT_EQ(EncodeComposite(*parsed), EncodeComposite(e));
}

// rule 15: composite
TEST(Composite, Faults) {
  const std::string good = EncodeComposite(SampleComposite());
  const auto edit = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return ParseComposite(text.replace(at, from.size(), to));
  };
  EXPECT_FALSE(edit("ccgpu.evidence/v1", "ccgpu.evidence/v2").ok());
  EXPECT_EQ(edit("\"tee\":\"snp\"", "\"tee\":\"sample\"").error().code, "evidence.unknown-tee");
  EXPECT_EQ(edit("{\\\"nvidia\\\"", "{\\\"other\\\"").error().code, "evidence.unknown-device");
  EXPECT_FALSE(edit("\"nonce\":\"", "\"nonce\":\"!").ok());
  EXPECT_FALSE(edit("\"init-data\":{\"format\":\"toml\"", "\"init-data\":{\"format\":\"json\"").ok());
  EXPECT_FALSE(edit("\"tee\":", "\"extra\":1,\"tee\":").ok());
  EXPECT_FALSE(edit("HOPPER", "VOLTA").ok());
  EXPECT_FALSE(ParseComposite("").ok());
  EXPECT_FALSE(ParseComposite("[]").ok());
}

TEST(DeviceEvidence, NvidiasEvidenceFile) {
  SKIP_WITHOUT_VECTORS();
  const auto gpus = DeviceEvidenceFromJson(test::VectorText("nvidia/emulated_example/evidence.json"));
  ASSERT_TRUE(gpus.ok()) << gpus.error().ToString();
  EXPECT_EQ((*gpus)[0].report, test::VectorBytes("nvidia/emulated_example/report.bin"));
}

}  // namespace
}  // namespace ccgpu::evidence
