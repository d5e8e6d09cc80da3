// The checks of a GPU's or NVSwitch's report and certificate chain.
#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/verify/anchors.h"
#include "trust/verify/gpu/context.h"

namespace ccgpu::verify {
namespace {

using evidence::GpuReport;

const std::string kNoReport = "there is no report that could be parsed";
const std::string kNoChain = "there is no chain that ends in a pinned root";

Finding NonceGiven(GpuContext& c) {
  if (c.options.nonce.size() == evidence::kGpuNonceSize) return Finding::Pass();
  return Finding::Fail(
      Err("gpu.nonce-missing", "",
          "the verifier was given no nonce of 32 bytes to compare with, so the report's age is unknown"));
}

Finding ReportParsed(GpuContext& c) {
  if (c.kind == DeviceKind::kSwitch) {
    if (c.evidence.arch != "LS10")
      return Finding::Fail(
          Err("gpu.unknown-arch", "",
              "architecture \"" + c.evidence.arch + "\" is not a switch that this verifier knows (LS10)"));
  } else if (c.evidence.arch != "HOPPER" && c.evidence.arch != "BLACKWELL" && c.evidence.arch != "AMPERE") {
    return Finding::Fail(Err(
        "gpu.unknown-arch", "",
        "architecture \"" + c.evidence.arch + "\" is not a GPU that this verifier knows (HOPPER, BLACKWELL, AMPERE)"));
  }
  auto report = evidence::ParseGpuReport(c.evidence.report, c.options.max_report_padding);
  if (!report.ok())
    return Finding::Fail(Err("gpu.report-malformed", c.ReportDocument(), report.error().text))
        .At(c.ReportDocument(), 0, c.evidence.report.size());
  c.report = std::move(*report);
  return Finding::Pass();
}

Finding ChainParsed(GpuContext& c) {
  const std::string& pem = c.evidence.certificate_chain;
  const auto parsed = c.shared.links.tables().chains.Get(IdOf(AsBytes(pem)), [&]() -> Result<ParsedChain> {
    ASSIGN_OR_RETURN(auto list, StrictPemList(pem, 2 * evidence::kGpuChainLength, kGpuCodes));
    return ParsedChain{std::move(list)};
  });
  if (!parsed->ok()) return Finding::Fail(parsed->error()).At(c.ChainDocument(), 0, 0);
  const std::vector<crypto::Certificate>& chain = (**parsed).certificates;
  if (chain.size() != evidence::kGpuChainLength) {
    return Finding::Fail(Err("gpu.chain-malformed", "",
                             "the chain has " + std::to_string(chain.size()) + " certificates, a GPU's has 5"))
        .At(c.ChainDocument(), 0, 0);
  }
  c.claimed_chain = chain;
  return Finding::Pass();
}

Finding ChainRoot(GpuContext& c) {
  if (c.claimed_chain.empty()) return Finding::Skip("there is no chain that could be parsed");
  const crypto::Certificate& claimed = c.claimed_chain.back();
  const crypto::Certificate* anchor = FindAnchor(c.shared.anchors.device_roots, claimed);
  if (!anchor) {
    return Finding::Fail(Err("gpu.untrusted-root", "",
                             "the chain ends in \"" + claimed.SubjectName() + "\" (key " +
                                 HexEncode(crypto::Sha256(claimed.key().Der())).substr(0, 16) +
                                 "), which is none of the " + std::to_string(c.shared.anchors.device_roots.size()) +
                                 " pinned device roots"))
        .At(c.ChainDocument(), 0, 0);
  }
  c.chain = c.claimed_chain;
  c.chain.back() = *anchor;
  return Finding::Pass();
}

Finding ChainEnvironment(GpuContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  // The vendor publishes neither format nor RIMs of an A100's report: under its root nothing could be judged.
  if (c.evidence.arch == "AMPERE" && EnvironmentOf(c.chain.back(), RootKind::kDevice) == "hardware") {
    return Finding::Fail(Err("gpu.ampere-hardware", "",
                             "AMPERE evidence under the vendor's root: only emulated A100 boards can be judged"))
        .Claim("environment", "emulated", "hardware");
  }
  return CheckEnvironment(c.chain.back(), RootKind::kDevice, c.shared.anchors.insecure_accept_emulated,
                          c.shared.environment);
}

Finding ChainLinks(GpuContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  Status status = CheckLinks(c.chain, {}, kGpuCodes, c.shared.links);
  if (status.ok() && !c.chain[0].MayDigitalSign())
    status = Err("gpu.chain-invalid", "", "the leaf's key usage does not allow digital signatures");
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(c.ChainDocument(), 0, 0);
}

Finding ChainValidity(GpuContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  Status status = CheckValidity(c.chain, c.shared.now, kGpuCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(c.ChainDocument(), 0, 0);
}

Finding ChainProfileFits(GpuContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  const bool is_switch = c.kind == DeviceKind::kSwitch;
  const auto pdi = evidence::DevicePdi(c.chain[1]);
  // Every NVIDIA device has a PDI; other people's emulations need none, it only matters where switches name GPUs by it.
  if (!pdi.ok() && c.shared.environment != "emulated") return Finding::Fail(pdi.error()).At(c.ChainDocument(), 0, 0);
  const uint8_t identity = pdi.ok() ? evidence::IdentityKind(c.chain[1]) : 0;
  const bool fits = is_switch ? identity == evidence::kIdentitySwitch
                              : identity == evidence::kIdentityGpu || identity == evidence::kIdentityGpuOlder;
  if (pdi.ok() && !fits) {
    return Finding::Fail(Err("gpu.chain-profile", "",
                             std::string("its identity's serial number does not begin as a ") +
                                 (is_switch ? "switch's (50)" : "GPU's (40 or 41)") + " does"))
        .Claim("identity", is_switch ? "50" : "41", HexEncode(Bytes{identity}))
        .At(c.ChainDocument(), 0, 0);
  }
  const auto fwid = evidence::LeafFwid(c.chain[0]);
  if (!fwid.ok()) return Finding::Fail(fwid.error()).At(c.ChainDocument(), 0, 0);
  const std::string model = c.chain[1].SubjectCommonName();
  const std::string wanted = is_switch                     ? "LS_10"
                             : c.evidence.arch == "HOPPER" ? "GH100"
                             : c.evidence.arch == "AMPERE" ? "GA100"
                                                           : "GB";
  if (!model.starts_with(wanted)) {
    return Finding::Fail(Err("gpu.arch-mismatch", "",
                             "the evidence says " + c.evidence.arch + ", the certified model is \"" + model + "\""))
        .Claim(is_switch ? "x-nvidia-switch-arch-check" : "x-nvidia-gpu-arch-check", wanted, model);
  }
  return Finding::Pass();
}

// NVIDIA's rule: the leaf is as short-lived as the firmware, so what stands between leaf and root is asked for.
Finding ChainRevocation(GpuContext& c) {
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  Status status = CheckRevocation(c, c.chain, 1, false, c.standing);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(c.ChainDocument(), 0, 0);
}

Finding ReportSignature(GpuContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  if (c.chain[0].key().type() == crypto::KeyType::kP384 &&
      c.chain[0].key().VerifyRaw(crypto::Hash::kSha384, c.report->signed_bytes, c.report->signature))
    return Finding::Pass();
  return Finding::Fail(Err("gpu.signature-invalid", "",
                           "the report's signature does not fit the attestation key of \"" +
                               c.chain[0].SubjectCommonName() + "\""))
      .At(c.ReportDocument(), c.report->SignatureOffset(), evidence::kGpuSignatureSize);
}

Finding ReportNonce(GpuContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.options.nonce.size() == evidence::kGpuNonceSize && EqualConstantTime(c.report->nonce, c.options.nonce))
    return Finding::Pass();
  return Finding::Fail(
             Err("gpu.nonce-mismatch", "", "the report answers another nonce: it is old, or was made for someone else"))
      .Claim("eat_nonce", HexEncode(c.options.nonce), HexEncode(c.report->nonce))
      .At(c.ReportDocument(), evidence::kGpuReportNonceOffset, evidence::kGpuNonceSize);
}

Finding ReportFwid(GpuContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  const auto claimed = c.report->opaque.Fwid();
  // Drivers before 550 do not report it; NVIDIA's verifiers then rely on the leaf alone.
  if (!claimed) return Finding::Skip("the report carries no firmware id");
  const auto certified = evidence::LeafFwid(c.chain[0]);
  if (certified.ok() && EqualConstantTime(*certified, *claimed)) return Finding::Pass();
  return Finding::Fail(Err("gpu.fwid-mismatch", "",
                           "the firmware that runs is not the one that the attestation key was certified for"))
      .Claim("x-nvidia-gpu-attestation-report-cert-chain-fwid-match",
             certified.ok() ? HexEncode(*certified) : "a firmware id in the leaf", HexEncode(*claimed))
      .At(c.ReportDocument(), c.report->OpaqueOffset(), evidence::EncodeOpaque(c.report->opaque).size());
}

// A switch signs its own PDI, by which GPUs name it: it must be the certified one.
Finding ReportPdi(GpuContext& c) {
  if (!c.report) return Finding::Skip(kNoReport);
  if (c.chain.empty()) return Finding::Skip(kNoChain);
  const Bytes* said = c.report->opaque.Find(evidence::opaque_type::kDevicePdi);
  const auto certified = evidence::DevicePdi(c.chain[1]);
  if (said && certified.ok() && Equal(*said, *certified)) return Finding::Pass();
  return Finding::Fail(
             Err("gpu.pdi-mismatch", "", "the report's PDI is not the one that the identity is certified for"))
      .Claim("x-nvidia-switch-pdi", certified.ok() ? HexEncode(*certified) : "a PDI in the certificate",
             said ? HexEncode(*said) : "absent")
      .At(c.ReportDocument(), c.report->OpaqueOffset(), evidence::EncodeOpaque(c.report->opaque).size());
}

constexpr NamedCheck<GpuContext> kGpuChecks[] = {
    {"nonce.given", NonceGiven},
    {"report.parsed", ReportParsed},
    {"chain.parsed", ChainParsed},
    {"chain.root", ChainRoot},
    {"chain.environment", ChainEnvironment},
    {"chain.links", ChainLinks},
    {"chain.validity", ChainValidity},
    {"chain.profile", ChainProfileFits},
    {"chain.revocation", ChainRevocation},
    {"report.signature", ReportSignature},
    {"report.nonce", ReportNonce},
    {"report.fwid", ReportFwid, true},
};

constexpr NamedCheck<GpuContext> kSwitchChecks[] = {
    {"nonce.given", NonceGiven},
    {"report.parsed", ReportParsed},
    {"chain.parsed", ChainParsed},
    {"chain.root", ChainRoot},
    {"chain.environment", ChainEnvironment},
    {"chain.links", ChainLinks},
    {"chain.validity", ChainValidity},
    {"chain.profile", ChainProfileFits},
    {"chain.revocation", ChainRevocation},
    {"report.signature", ReportSignature},
    {"report.nonce", ReportNonce},
    {"report.fwid", ReportFwid, true},
    {"report.pdi", ReportPdi},
};

}  // namespace

Status CheckRevocation(GpuContext& c, const std::vector<crypto::Certificate>& chain, size_t first, bool rim,
                       ChainStanding& standing) {
  Status out = Ok();
  bool any = false;
  for (size_t i = first; i + 1 < chain.size(); ++i) {
    RevocationState state = c.shared.revocation.Judge(chain, i, c.Rules(rim), rim ? kRimCodes : kGpuCodes);
    const auto rank = [](const std::string& said) {
      return said == "good" ? 0 : said == "undefined" ? 1 : said == "unknown" ? 2 : 3;
    };
    if (!any || rank(state.said) > rank(standing.said)) standing.said = state.said, standing.reason = state.reason;
    standing.fresh = (standing.fresh || !any) && state.fresh;
    any = true;
    if (out.ok() && !state.status.ok()) out = std::move(state.status);
  }
  return out;
}

std::span<const NamedCheck<GpuContext>> GpuReportChecks() { return kGpuChecks; }
std::span<const NamedCheck<GpuContext>> SwitchReportChecks() { return kSwitchChecks; }

}  // namespace ccgpu::verify
