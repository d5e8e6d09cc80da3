#include "trust/evidence/gpu_report.h"

#include <gmock/gmock.h>

#include "base/crypto/x509.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using crypto::Certificate;
using ::testing::HasSubstr;

struct RealReport {
  const char* report;
  const char* chain;
  const char* driver;
  const char* vbios;
  size_t blocks;
};

class RealReports : public ::testing::TestWithParam<RealReport> {};

// Each real report: encode(decode(x)) is x, the leaf's key verifies the signature, FWID and PDI are readable.
TEST_P(RealReports, ParseEncodeAndVerify) {
  SKIP_WITHOUT_VECTORS();
  const RealReport& real = GetParam();
  const Bytes bytes = test::VectorHex(real.report);
  const auto report = ParseGpuReport(bytes);
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_EQ(report->opaque.DriverVersion(), real.driver);
  EXPECT_EQ(report->opaque.VbiosVersion(), real.vbios);
  EXPECT_EQ(report->measurements.size(), real.blocks);
  Bytes again = EncodeGpuReportBody(*report);
  Append(again, report->signature);
  EXPECT_EQ(again, bytes);
  for (const auto& [index, value] : report->measurements) {
    EXPECT_TRUE(Equal(ByteView(bytes).subspan(report->MeasurementOffset(index), 48), value)) << int{index};
  }
  const Bytes opaque = EncodeOpaque(report->opaque);
  EXPECT_TRUE(Equal(ByteView(bytes).subspan(report->OpaqueOffset(), opaque.size()), opaque));

  const auto chain = Certificate::ListFromPem(test::VectorText(real.chain)).value();
  ASSERT_EQ(chain.size(), kGpuChainLength);
  EXPECT_TRUE(chain[0].key().VerifyRaw(crypto::Hash::kSha384, report->signed_bytes, report->signature));
  const auto fwid = LeafFwid(chain[0]);
  ASSERT_TRUE(fwid.ok()) << fwid.error().ToString();
  EXPECT_EQ(report->opaque.Fwid().value_or(*fwid), *fwid);
  EXPECT_EQ(DevicePdi(chain[1]).value().size(), 8u);
  EXPECT_THAT(Ueid(chain[0]), ::testing::MatchesRegex("[0-9]{40,50}"));
}

INSTANTIATE_TEST_SUITE_P(
    Vectors, RealReports,
    ::testing::Values(RealReport{"nvidia/nvtrust_v1_initial/attestationReport.txt",
                                 "nvidia/nvtrust_v1_initial/gpuAkCertChain.txt", "545.00", "96.00.5E.00.01", 64},
                      RealReport{"nvidia/samples/hopperAttestationReport.txt", "nvidia/samples/hopperCertChain.txt",
                                 "550.90.07", "96.00.9F.00.01", 64},
                      RealReport{"nvidia/nvat/gpu/hopperAttestationReport.txt", "nvidia/nvat/gpu/hopperCertChain.txt",
                                 "535.86.09", "96.00.5E.00.01", 64},
                      RealReport{"nvidia/nvat/gpu/blackwellAttestationReport.txt",
                                 "nvidia/nvat/gpu/blackwellCertChain.txt", "575.32", "97.00.88.00.0F", 64},
                      RealReport{"nvidia/nvat/switch/switchAttestationReport.txt",
                                 "nvidia/nvat/switch/switchCertChain.txt", "", "96.10.55.00.01", 31}));

GpuReport Sample() {
  GpuReport out;
  out.nonce = Bytes(32, 0xab);
  for (int i = 0; i < 64; ++i) out.measurements[static_cast<uint8_t>(i)] = Bytes(48, static_cast<uint8_t>(i));
  out.responder_nonce = Bytes(32, 0xcd);
  out.opaque.SetVbiosVersion("96.00.9F.00.01");
  out.opaque.SetText(opaque_type::kDriverVersion, "550.90.07");
  out.opaque.SetText(opaque_type::kProject, "1010");
  out.opaque.SetText(opaque_type::kProjectSku, "0200");
  out.opaque.SetText(opaque_type::kChipSku, "882");
  out.opaque.Set(opaque_type::kNvdec0Status, {kNvdecDisabled});
  return out;
}

TEST(GpuReport, SignedRoundTrip) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  const Bytes bytes = SignGpuReport(Sample(), key);
  const GpuReport report = ParseGpuReport(bytes).value();
  EXPECT_TRUE(key.public_key().VerifyRaw(crypto::Hash::kSha384, report.signed_bytes, report.signature));
  EXPECT_EQ(report.opaque.VbiosVersion(), "96.00.9F.00.01");
  EXPECT_EQ(report.opaque.Nvdec0(), kNvdecDisabled);
  EXPECT_EQ(DriverRimId(report.opaque), "NV_GPU_DRIVER_GH100_550.90.07");
  EXPECT_EQ(VbiosRimId(report.opaque), "NV_GPU_VBIOS_1010_0200_882_96009F0001");
}

// rule 15: gpu
TEST(GpuReport, EveryTruncationIsRefused) {
  const Bytes bytes = SignGpuReport(Sample(), crypto::PrivateKey::Generate(crypto::KeyType::kP384));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ParseGpuReport(ByteView(bytes).first(size)).ok()) << size;
}

TEST(GpuReport, PaddingOnlyAsAllowedAndOnlyZero) {
  Bytes bytes = SignGpuReport(Sample(), crypto::PrivateKey::Generate(crypto::KeyType::kP384));
  bytes.push_back(0);
  EXPECT_FALSE(ParseGpuReport(bytes).ok());
  EXPECT_TRUE(ParseGpuReport(bytes, 1).ok());
  bytes.back() = 1;
  EXPECT_FALSE(ParseGpuReport(bytes, 1).ok());
  bytes.back() = 0;
  bytes.push_back(0);
  EXPECT_FALSE(ParseGpuReport(bytes, 1).ok());
}

struct Mutation {
  const char* name;
  size_t offset;
  uint8_t value;
  const char* text;
};
class BadReports : public ::testing::TestWithParam<Mutation> {};

// rule 15: gpu
TEST_P(BadReports, IsRefusedWithItsPlace) {
  Bytes bytes = SignGpuReport(Sample(), crypto::PrivateKey::Generate(crypto::KeyType::kP384));
  bytes[GetParam().offset] = GetParam().value;
  const auto report = ParseGpuReport(bytes);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, "gpu.report-malformed");
  EXPECT_THAT(report.error().text, HasSubstr(GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(
    Mutations, BadReports,
    ::testing::Values(Mutation{"version", 0, 0x12, "at byte 0"}, Mutation{"code", 1, 0xe1, "at byte 1"},
                      Mutation{"unsigned", 2, 0, "at byte 2"}, Mutation{"one-measurement", 3, 1, "at byte 3"},
                      Mutation{"slot", 36, 1, "at byte 36"}, Mutation{"response-code", 38, 0x7f, "at byte 38"},
                      Mutation{"block-count", 41, 63, "55 bytes each"}, Mutation{"no-blocks", 41, 0, "55 bytes each"},
                      Mutation{"duplicate-index", 45 + 55, 1, "must ascend"},
                      Mutation{"index-zero", 45, 0, "must ascend"},
                      Mutation{"raw-stream", 45 + 4, 0x81, "measurement value type"},
                      Mutation{"value-size", 45 + 5, 47, "expected 51/48"},
                      Mutation{"opaque-too-long", 3598, 0xff, ""}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// rule 15: gpu
TEST(Opaque, DuplicateTypesAreRefused) {
  Bytes twice = EncodeOpaque(Sample().opaque);
  Append(twice, Bytes{3, 0, 1, 0, 'x'});
  EXPECT_THAT(ParseOpaque(twice).error().text, HasSubstr("is there twice"));
}

TEST(Opaque, NewForm) {
  OpaqueData data;
  data.versioned = true;
  data.major = 2;
  data.fields = {{3, ToBytes(AsBytes(std::string_view("620.12\0", 7))), 0x86}, {200, {1}, 0x87}};
  const Bytes bytes = EncodeOpaque(data);
  const OpaqueData again = ParseOpaque(bytes).value();
  EXPECT_EQ(again.DriverVersion(), "620.12");
  EXPECT_EQ(again.fields[1].value_type, 0x87);
  EXPECT_EQ(EncodeOpaque(again), bytes);
  for (size_t size = 0; size < 12; ++size) EXPECT_FALSE(ParseOpaque(ByteView(bytes).first(size)).ok()) << size;
  Bytes newer = bytes;
  newer[8] = 3;
  EXPECT_FALSE(ParseOpaque(newer).ok());
}

TEST(Opaque, TextThatIsNotPrintableIsNoVersion) {
  OpaqueData data;
  data.SetText(opaque_type::kDriverVersion, "../\x01");
  EXPECT_EQ(data.DriverVersion(), "");
}

TEST(GpuCerts, MadeExtensionsAreRead) {
  const auto root = crypto::PrivateKey::Generate(crypto::KeyType::kP384),
             leaf = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "leaf"}};
  spec.key = leaf.public_key();
  spec.serial = {1, 0};
  spec.not_after = TimePoint(std::chrono::seconds(4000000000));
  spec.extensions = {{kOidCompositeDeviceId, MakeFwidExtension(root.public_key(), Bytes(48, 7)), false},
                     {kOidSubjectAltName, MakeDeviceInfoSan("NVIDIA:GH100:00"), false}};
  const auto made = crypto::MakeCertificate(spec, root, nullptr).value();
  EXPECT_EQ(LeafFwid(made).value(), Bytes(48, 7));
  EXPECT_EQ(Ueid(made), "256");
  EXPECT_FALSE(DevicePdi(made).ok());
  // Truncated, lengthened, without.
  Bytes extension = spec.extensions[0].value;
  for (Bytes bad : {Bytes(extension.begin(), extension.end() - 1), Concat({extension, Bytes{0}}), Bytes{}}) {
    spec.extensions[0].value = bad;
    EXPECT_FALSE(LeafFwid(crypto::MakeCertificate(spec, root, nullptr).value()).ok());
  }
  spec.extensions.clear();
  EXPECT_EQ(LeafFwid(crypto::MakeCertificate(spec, root, nullptr).value()).error().code, "gpu.chain-profile");
}

TEST(Components, NamesAndConstantsDiffer) {
  EXPECT_EQ(H100ComponentName(13), "CC mode (index 13)");
  EXPECT_EQ(H100ComponentAt(63).rim, RimKind::kNone);
  EXPECT_EQ(H100ComponentAt(7).rim, RimKind::kDriver);
  EXPECT_NE(CcModeMeasurement("off"), CcModeMeasurement("hopper-cc"));
  EXPECT_NE(DebugFuseMeasurement(true), DebugFuseMeasurement(false));
}

}  // namespace
}  // namespace ccgpu::evidence
