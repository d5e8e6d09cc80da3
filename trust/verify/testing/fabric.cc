#include "trust/verify/testing/fabric.h"

#include <algorithm>

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;

constexpr uint8_t kGpus = 8, kSwitches = 4;
constexpr size_t kLinks = 18, kSwitchBlocks = 31, kSwitchPorts = 64;

SpecEdit Identity(const std::string& name, uint8_t kind, uint8_t number) {
  return [=](CertificateSpec& s) {
    s.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", name}};
    s.serial = {kind, 0xa0, 1, 2, 3, 4, 5, 6, number};
  };
}

GpuWorld FabricGpu(uint8_t number) {
  GpuWorld w({{"device1", Identity("GH100 A01 GSP BROM", evidence::kIdentityGpu, number)}},
             "fabric-gpu" + std::to_string(number));
  w.report.opaque.Set(evidence::opaque_type::kProtectedPcieStatus, {0xaa});
  w.report.opaque.Set(evidence::opaque_type::kVersion, {1, 0});
  w.report.opaque.Set(evidence::opaque_type::kFeatureFlag, {2, 0});
  w.report.responder_nonce = Bytes(32, number);
  return w;
}

}  // namespace

GpuWorld SwitchWorld(uint8_t number) {
  GpuWorld w({{"device0",
               [](CertificateSpec& s) {
                 s.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", "LS_10 A01 FSP FMC LF"}};
               }},
              {"device1", Identity("LS_10 A01 FSP BROM", evidence::kIdentitySwitch, number)}},
             "fabric-switch" + std::to_string(number));
  w.report.measurements.clear();
  w.vbios_spec.measurements.clear();
  for (uint8_t i = 0; i < kSwitchBlocks; ++i) {
    w.report.measurements[i] = Bytes(48, static_cast<uint8_t>(i + 1));
    w.vbios_spec.measurements.push_back({i, true, {w.report.measurements[i]}, ""});
  }
  w.report.opaque = {};
  w.report.opaque.Set(evidence::opaque_type::kVbiosVersion, ToBytes(AsBytes("96.10.55.00.01")));
  w.report.opaque.Set(evidence::opaque_type::kDevicePdi, PdiOf(w));
  w.report.responder_nonce = Bytes(32, static_cast<uint8_t>(0x80 + number));
  w.vbios_spec.name = w.vbios_spec.product = "LS10";
  w.vbios_spec.edition = "SWITCH";
  w.vbios_spec.colloquial_version = "96.10.55.00.01";
  w.Sign();
  w.evidence.arch = "LS10";
  w.collateral.rims = {{evidence::SwitchBiosRimId(w.report.opaque),
                        evidence::MakeRim(w.vbios_spec, w.rim[0].key, CertificatesOf(w.rim)).value()}};
  return w;
}

Bytes PdiOf(const GpuWorld& device) { return evidence::DevicePdi(device.device[1].certificate).value(); }

Bytes SwitchPdiField(const std::vector<Bytes>& switches) {
  Bytes out;
  for (const Bytes& pdi : switches) out.insert(out.end(), pdi.rbegin(), pdi.rend());
  out.resize(kLinks * evidence::kPdiSize);
  return out;
}

Bytes GpuPdiField(const std::vector<Bytes>& gpus) {
  Bytes out;
  for (const Bytes& pdi : gpus) Append(out, pdi);
  out.resize(kGpus * evidence::kPdiSize);
  out.resize(out.size() + kSwitchPorts, 0xff);
  return out;
}

FabricWorld::FabricWorld()
    : FabricWorld([]() -> const FabricWorld& {
        static const FabricWorld made{Make()};
        return made;
      }()) {}

FabricWorld::FabricWorld(Make) {
  for (uint8_t i = 0; i < kGpus; ++i) gpus.push_back(FabricGpu(i));
  for (uint8_t i = 0; i < kSwitches; ++i) switches.push_back(SwitchWorld(static_cast<uint8_t>(0x40 + i)));
  anchors = gpus[0].anchors;
  options.device = gpus[0].options;
  for (const auto* list : {&gpus, &switches}) {
    for (const GpuWorld& w : *list) {
      collateral.rims.insert(w.collateral.rims.begin(), w.collateral.rims.end());
      const auto& answers = w.collateral.ocsp_responses;
      collateral.ocsp_responses.insert(collateral.ocsp_responses.end(), answers.begin(), answers.end());
    }
  }
  Connect();
}

void FabricWorld::Connect() {
  std::vector<Bytes> gpu_pdis, switch_pdis;
  for (const GpuWorld& gpu : gpus) gpu_pdis.push_back(PdiOf(gpu));
  for (const GpuWorld& one : switches) switch_pdis.push_back(PdiOf(one));
  for (GpuWorld& gpu : gpus) {
    gpu.report.opaque.Set(evidence::opaque_type::kSwitchPdi, SwitchPdiField(switch_pdis));
    Sign(gpu);
  }
  for (GpuWorld& one : switches) {
    one.report.opaque.Set(evidence::opaque_type::kSwitchGpuPdis, GpuPdiField(gpu_pdis));
    Sign(one);
  }
}

void FabricWorld::Sign(GpuWorld& device) {
  const bool is_switch = device.evidence.arch == "LS10";
  device.Sign();
  device.evidence.arch = is_switch ? "LS10" : "HOPPER";
  device.evidence.uuid = (is_switch ? "SWITCH-" : "GPU-") + std::to_string(PdiOf(device).back());
}

FabricEvidence FabricWorld::Evidence() const {
  FabricEvidence out;
  for (const GpuWorld& gpu : gpus) out.gpus.push_back(gpu.evidence);
  for (const GpuWorld& one : switches) out.switches.push_back(one.evidence);
  return out;
}

Verdict FabricWorld::Run(Cache* cache) const {
  return VerifyFabric(evidence::Unverified(Evidence()), collateral, anchors, options, now, cache);
}

}  // namespace ccgpu::verify
