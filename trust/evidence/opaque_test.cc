// Opaque data of GPU and switch reports: modes, links, security versions; the Blackwell leaf's DiceTcbInfo; RIM records
// for opaque data.
#include "trust/evidence/opaque.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "trust/evidence/der.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/rim.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using ::testing::ElementsAre;
namespace ot = opaque_type;

TEST(Opaque, ProtectionModes) {
  const auto mode = [](std::optional<Bytes> status, std::optional<Bytes> flag, std::optional<Bytes> version) {
    OpaqueData data;
    if (status) data.Set(ot::kProtectedPcieStatus, *status);
    if (flag) data.Set(ot::kFeatureFlag, *flag);
    if (version) data.Set(ot::kVersion, *version);
    return data.ProtectionMode();
  };
  const Bytes on = {0xaa}, off = {0x55}, v0 = {0, 0}, v1 = {1, 0};
  const auto none = std::nullopt;
  EXPECT_EQ(mode(none, none, none), "");
  EXPECT_EQ(mode(on, none, none), "ppcie");
  EXPECT_EQ(mode(off, none, none), "spt");
  EXPECT_EQ(mode(on, Bytes{2, 0}, v1), "ppcie");
  EXPECT_EQ(mode(off, Bytes{0, 0}, v1), "spt");
  EXPECT_EQ(mode(off, Bytes{1, 0}, v1), "mpt");
  EXPECT_EQ(mode(none, Bytes{1, 0}, v1), "mpt");
  EXPECT_EQ(mode(off, Bytes{2, 0}, v0), "spt");  // the flag means nothing yet in version 0
  EXPECT_EQ(mode(on, Bytes{0, 0}, v1), "mixed");
  EXPECT_EQ(mode(off, Bytes{2, 0}, v1), "mixed");
  EXPECT_EQ(mode(off, Bytes{3, 0}, v1), "mixed");
  EXPECT_EQ(mode(off, Bytes{0}, v1), "mixed");
  EXPECT_EQ(mode(Bytes{0xab}, none, none), "mixed");
  EXPECT_EQ(mode(Bytes{}, none, none), "mixed");
}

TEST(Opaque, LinksNameDevicesInEachSidesByteOrder) {
  OpaqueData gpu;
  EXPECT_FALSE(gpu.PeerSwitchPdis().has_value());
  Bytes links(144);
  const Bytes reversed = HexDecode("0800edd91ab33e20").value();
  std::copy(reversed.begin(), reversed.end(), links.begin() + 8);
  std::copy(reversed.begin(), reversed.end(), links.begin() + 136);
  gpu.Set(ot::kSwitchPdi, links);
  EXPECT_THAT(*gpu.PeerSwitchPdis(), ElementsAre(HexDecode("203eb31ad9ed0008").value()));
  gpu.Set(ot::kSwitchPdi, Bytes(143));
  EXPECT_FALSE(gpu.PeerSwitchPdis().has_value());
  OpaqueData nvswitch;
  Bytes gpus(128);
  gpus[8] = 2, gpus[23] = 1;
  nvswitch.Set(ot::kSwitchGpuPdis, gpus);
  EXPECT_THAT(*nvswitch.PeerGpuPdis(),
              ElementsAre(HexDecode("0000000000000001").value(), HexDecode("0200000000000000").value()));
  nvswitch.Set(ot::kSwitchGpuPdis, Bytes(129));
  EXPECT_FALSE(nvswitch.PeerGpuPdis().has_value());
}

TEST(Opaque, UnknownVersionsAreRefused) {
  for (const auto& [value, fine] : {std::pair<Bytes, bool>{{0, 0}, true},
                                    {{1, 0}, true},
                                    {{2, 0}, true},
                                    {{3, 0}, false},
                                    {{0, 1}, false},
                                    {{}, false},
                                    {Bytes(9), false}}) {
    OpaqueData data;
    data.Set(ot::kVersion, value);
    EXPECT_EQ(ParseOpaque(EncodeOpaque(data)).ok(), fine) << HexEncode(value);
  }
}

TEST(Opaque, RealSwitch) {
  SKIP_WITHOUT_VECTORS();
  const auto report = ParseGpuReport(test::VectorHex("nvidia/nvat/switch/switchAttestationReport.txt"));
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_EQ(report->measurements.size(), 31u);
  EXPECT_EQ(report->opaque.VbiosVersion(), "96.10.55.00.01");
  EXPECT_EQ(SwitchBiosRimId(report->opaque), "NV_SWITCH_BIOS_5612_0002_890_9610550001");
  EXPECT_EQ(HexEncode(*report->opaque.Find(ot::kDevicePdi)), "203eb31ad9ed0008");
  EXPECT_EQ(report->opaque.PeerGpuPdis()->size(), 7u);
}

// -- DiceTcbInfo --

const Bytes kFwid(48, 0x5a), kSecond(48, 0x5b);

Bytes Pair(const Bytes& fwid) {
  const Bytes sha384 = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};
  return der::Element(der::kSequence, {der::Element(der::kOid, sha384), der::Element(der::kOctetString, fwid)});
}

Result<Bytes> FwidOf(const Bytes& tcb_info) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "GB100 A01 GSP FMC LF"}};
  spec.key = key.public_key();
  spec.extensions = {{kOidDiceTcbInfo, tcb_info, false}};
  return LeafFwid(crypto::MakeCertificate(spec, key, nullptr).value());
}

// rule 15: gpu
TEST(DiceTcbInfo, IsReadStrictly) {
  const Bytes vendor = der::Element(0x80, AsBytes("NVIDIA")), version = der::Element(0x82, AsBytes("01"));
  const Bytes fwids = der::Element(0xa6, {Pair(kFwid), Pair(kSecond)}), flags = der::Element(0x87, Bytes{0});
  const auto info = [](std::initializer_list<ByteView> parts) { return der::Element(der::kSequence, parts); };
  const auto good = FwidOf(info({vendor, version, fwids, flags}));
  ASSERT_TRUE(good.ok()) << good.error().ToString();
  EXPECT_EQ(*good, kFwid);
  Bytes longer = info({fwids});
  longer.push_back(0);
  const Bytes short_fwid = der::Element(0xa6, Pair(Bytes(47)));
  const Bytes broken_second = der::Element(0xa6, {Pair(kFwid), Pair(Bytes(32))});
  for (const Bytes& bad :
       {info({vendor}), info({fwids, vendor}), info({fwids, fwids}), info({short_fwid}), info({broken_second}), longer,
        info({der::Element(der::kOctetString, kFwid), fwids}), Bytes{}})
    EXPECT_FALSE(FwidOf(bad).ok()) << HexEncode(bad);
}

// -- RIM records for opaque data --

TEST(RimOpaqueRecords, AreRefusedAndNamed) {
  const std::string xml = R"(<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd">)"
                          R"(<Entity name="n"/><Meta/><Payload><Resource type="Measurement" index="101" )"
                          R"(xmlns:ns3="https://docs.nvidia.com/attestation/specs/latest/opaque-data.html" ns3:x="5"/>)"
                          R"(</Payload></SoftwareIdentity>)";
  const auto rim = ParseRim(xml);
  ASSERT_FALSE(rim.ok());
  EXPECT_EQ(rim.error().code, "rim.opaque-record");
}

}  // namespace
}  // namespace ccgpu::evidence
