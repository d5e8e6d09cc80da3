#include "key-broker/testing/test_pod.h"

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/composite.h"
#include "trust/kbs/binding.h"
#include "trust/kbs/initdata.h"
#include "trust/verify/testing/fabric.h"

namespace ccgpu::broker {

using crypto::CertificateSpec;

TestPod::TestPod(size_t gpu_count) {
  for (size_t i = 0; i < gpu_count; ++i) {
    const auto serial = static_cast<uint8_t>(i + 1);
    gpus.emplace_back(
        verify::SpecEdits{
            {"device1", [serial](CertificateSpec& s) { s.serial = {0x41, 1, 2, 3, 4, 5, 6, 7, serial}; }}},
        i == 0 ? "" : "board" + std::to_string(i));
    gpus.back().report.responder_nonce = Bytes(32, serial);
  }
  kbs::InitData init;
  init.data["ccgpu-policy.yaml"] = "kind: PodPolicy\n";
  init_data = kbs::WriteInitData(init);
  const Bytes digest = crypto::Sha256(AsBytes(init_data));
  host_data = HexEncode(digest);
  cpu.report.host_data = digest;
}

TestPod TestPod::WithSwitches() {
  TestPod out(0);
  const verify::FabricWorld set;
  for (const auto* list : {&set.gpus, &set.switches}) out.gpus.insert(out.gpus.end(), list->begin(), list->end());
  return out;
}

kbs::AttestRequest TestPod::Answer(const std::string& nonce, const kbs::PublicJwk& bound_to) {
  std::vector<evidence::GpuEvidence> evidence;
  for (size_t i = 0; i < gpus.size(); ++i) {
    gpus[i].report.nonce = kbs::GpuNonce(kbs::DeviceReportData(nonce, bound_to));
    gpus[i].Sign();
    const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
    gpus[i].evidence.uuid =
        (gpus[i].evidence.arch == "LS10" ? "SWITCH-" : "GPU-") + ("00000000-0000-0000-0000-0000000000" + number);
    evidence.push_back(gpus[i].evidence);
  }
  kbs::AttestRequest out;
  out.init_data = init_data;
  out.nonce = nonce;
  out.tee_pubkey = key.jwk;
  out.additional_evidence = evidence::AdditionalEvidence(evidence);
  cpu.report.report_data = kbs::SnpReportData(kbs::PrimaryReportData(nonce, bound_to, out.additional_evidence));
  cpu.Sign();
  out.primary_evidence_json = evidence::SnpEvidenceToJson(cpu.evidence);
  return out;
}

verify::Anchors TestPod::Anchors() const {
  verify::Anchors out = cpu.anchors;
  for (const auto& gpu : gpus) {
    out.device_roots.push_back(gpu.anchors.device_roots[0]);
    out.rim_roots.push_back(gpu.anchors.rim_roots[0]);
  }
  out.insecure_accept_emulated = true;
  return out;
}

Result<collateral::FetchAnswer> TestVendor::Fetch(const collateral::FetchRequest& request) {
  const auto& [url, body, content_type] = request;
  ++fetches;
  if (down) return Err("collateral.unreachable", url, "does not answer");
  if (body.empty()) {
    const std::string id = url.substr(url.rfind('/') + 1);
    for (const auto& gpu : pod_.gpus) {
      const auto rim = gpu.collateral.rims.find(id);
      if (rim != gpu.collateral.rims.end())
        return collateral::FetchAnswer{Json{{"id", id}, {"rim", Base64Encode(AsBytes(rim->second))}}.dump(), {}};
    }
    return Err("collateral.unreachable", url, "answers with status 404");
  }
  for (const auto& gpu : pod_.gpus) {
    for (const bool device : {true, false}) {
      const auto& chain = device ? gpu.device : gpu.rim;
      const auto& signer = device ? gpu.ocsp : gpu.rim_ocsp;
      bool known = false;
      auto answer = evidence::MakeOcspResponse(AsBytes(body),
                                               [&](ByteView serial) {
                                                 evidence::OcspAnswer out;
                                                 for (size_t i = 0; i < chain.size(); ++i) {
                                                   if (!Equal(chain[i].certificate.SerialNumber(), serial)) continue;
                                                   known = true;
                                                   if (revoked_level == (device ? "device" : "rim") + std::to_string(i))
                                                     out = {evidence::CertStatus::kRevoked, 1, now};
                                                 }
                                                 return out;
                                               },
                                               {signer.certificate, signer.key, now, now + std::chrono::hours(1)});
      if (!answer.ok()) return answer.error();
      if (known) return collateral::FetchAnswer{ToText(*answer), {}};
    }
  }
  return Err("collateral.unreachable", url, "knows no such certificate");
}

}  // namespace ccgpu::broker
