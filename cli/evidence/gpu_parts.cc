#include "cli/evidence/gpu_parts.h"

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"

namespace ccgpu::cli {
namespace {

// The modes that the emulator measures as published constants; a real H100's report says none.
std::string EmulatedMode(const evidence::GpuReport& report) {
  const auto it = report.measurements.find(evidence::kIndexCcMode);
  if (it == report.measurements.end()) return "";
  for (const char* mode : {"off", "devtools", "apm", "hopper-cc"}) {
    if (it->second == evidence::CcModeMeasurement(mode)) return mode;
  }
  return "";
}

// Each once: a device has several links to one peer.
std::set<std::string> PdiTexts(const std::vector<Bytes>& pdis) {
  std::set<std::string> out;
  for (const Bytes& pdi : pdis) out.insert(HexEncode(pdi));
  return out;
}

}  // namespace

OrderedJson GpuJson(const evidence::GpuEvidence& gpu) {
  OrderedJson out = {{"arch", gpu.arch}};
  if (!gpu.uuid.empty()) out["uuid"] = gpu.uuid;
  out["report_bytes"] = gpu.report.size();
  // Some collectors write one zero byte too many; showing is not judging.
  if (auto report = evidence::ParseGpuReport(gpu.report, 16); report.ok()) {
    const evidence::OpaqueData& opaque = report->opaque;
    out["nonce"] = HexEncode(report->nonce);
    if (gpu.arch == "LS10") {
      out["bios_version"] = opaque.VbiosVersion();
    } else {
      out["driver_version"] = opaque.DriverVersion();
      out["vbios_version"] = opaque.VbiosVersion();
      out["project"] = opaque.Project();
      out["project_sku"] = opaque.ProjectSku();
      out["chip_sku"] = opaque.ChipSku();
    }
    if (const auto fwid = opaque.Fwid()) out["fwid"] = HexEncode(*fwid);
    if (const auto nvdec = opaque.Nvdec0())
      out["nvdec0"] = *nvdec == evidence::kNvdecEnabled    ? "enabled"
                      : *nvdec == evidence::kNvdecDisabled ? "disabled"
                                                           : "?";
    if (const std::string mode = opaque.ProtectionMode(); !mode.empty()) out["multi_gpu"] = mode;
    if (const auto peers = gpu.arch == "LS10" ? opaque.PeerGpuPdis() : opaque.PeerSwitchPdis())
      out["linked_to"] = PdiTexts(*peers);
    out["opaque_form"] = opaque.versioned ? "NVDAOD" : "legacy";
    if (const std::string mode = EmulatedMode(*report); !mode.empty()) out["mode"] = mode;
    out["rims"] = RimIdsOf(gpu);
    out["responder_nonce"] = HexEncode(report->responder_nonce);
    out["measurements"] = OrderedJson::object();
    for (const auto& [index, value] : report->measurements) {
      if (std::any_of(value.begin(), value.end(), [](uint8_t b) { return b != 0; }))
        out["measurements"][std::to_string(index)] = HexEncode(value);
    }
  } else {
    out["unreadable"] = report.error().ToString();
  }
  out["certificates"] = CertificatesJson(gpu.certificate_chain);
  if (auto list = crypto::Certificate::ListFromPem(gpu.certificate_chain); list.ok()) {
    out["ueid"] = evidence::Ueid((*list)[0]);
    if (list->size() > 1) {
      if (auto pdi = evidence::DevicePdi((*list)[1]); pdi.ok()) out["pdi"] = HexEncode(*pdi);
    }
  }
  return out;
}

OrderedJson CollateralJson(const evidence::Collateral& collateral) {
  OrderedJson out = {{"rims", OrderedJson::array()},
                     {"ocsp_responses", collateral.ocsp_responses.size()},
                     {"crls", collateral.crls.size()}};
  for (const auto& [id, xml] : collateral.rims) out["rims"].push_back(id);
  return out;
}

std::vector<std::string> RimIdsOf(const evidence::GpuEvidence& gpu) {
  auto report = evidence::ParseGpuReport(gpu.report, 16);
  if (!report.ok()) return {};
  if (gpu.arch == "LS10") return {evidence::SwitchBiosRimId(report->opaque)};
  return {evidence::DriverRimId(report->opaque), evidence::VbiosRimId(report->opaque)};
}

void NameLooseRims(const std::vector<evidence::GpuEvidence>& gpus, collateral::Documents& documents) {
  std::set<std::string> have;
  for (const auto& document : documents) {
    if (document.kind == collateral::Kind::kRim) have.insert(document.name);
  }
  for (const evidence::GpuEvidence& gpu : gpus) {
    auto report = evidence::ParseGpuReport(gpu.report, 16);
    if (!report.ok()) continue;
    const std::vector<std::string> ids = RimIdsOf(gpu);
    std::vector<std::string> versions = {report->opaque.DriverVersion(), report->opaque.VbiosVersion()};
    if (ids.size() == 1) versions.erase(versions.begin());  // a switch has one RIM, of its BIOS
    for (size_t i = 0; i < ids.size(); ++i) {
      if (have.contains(ids[i])) continue;
      for (auto& document : documents) {
        if (document.kind != collateral::Kind::kRim || document.name.starts_with("NV_")) continue;
        auto rim = evidence::ParseRim(document.content);
        if (!rim.ok() || rim->colloquial_version != versions[i]) continue;
        document.name = ids[i];
        have.insert(ids[i]);
        break;
      }
    }
  }
  // The others keep their version in a name of their kind, so that the nearest one can be found and named.
  for (auto& document : documents) {
    if (document.kind != collateral::Kind::kRim || document.name.starts_with("NV_")) continue;
    auto rim = evidence::ParseRim(document.content);
    if (!rim.ok()) continue;
    const auto dots = std::count(rim->colloquial_version.begin(), rim->colloquial_version.end(), '.');
    const std::string kind = rim->edition == "SWITCH" ? "NV_SWITCH_BIOS_"
                             : dots >= 4              ? "NV_GPU_VBIOS_"
                                                      : "NV_GPU_DRIVER_";
    document.name = kind + document.name;
  }
}

evidence::Collateral CollateralOf(const EvidenceCase& evidence, const evidence::Collateral& brought,
                                  const std::vector<evidence::GpuEvidence>& gpus) {
  collateral::Documents documents = evidence.documents;
  NameLooseRims(gpus, documents);
  // What the caller names comes first: of two RIMs with one id the caller's is used.
  const collateral::Documents more = collateral::FromCollateral(brought);
  documents.insert(documents.end(), more.begin(), more.end());
  collateral::Deduplicate(documents);
  return collateral::ToCollateral(documents);
}

void AddGpuDocuments(const std::vector<evidence::GpuEvidence>& devices, const std::string& word, Judgement& judgement) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string name = word + std::to_string(i);
    judgement.documents[name + "/report"] = devices[i].report;
    judgement.documents[name + "/certificate-chain"] = ToBytes(AsBytes(devices[i].certificate_chain));
  }
}

void AddRims(const evidence::Collateral& collateral, Judgement& judgement) {
  for (const auto& [id, xml] : collateral.rims) judgement.documents["rim/" + id] = ToBytes(AsBytes(xml));
}

}  // namespace ccgpu::cli
