#include "trust/verify/anchors.h"

#include <algorithm>
#include <cctype>

#include "trust/verify/roots/roots.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {
namespace {

crypto::Certificate Pem(const char* pem) { return crypto::Certificate::FromPem(pem).value(); }

bool Holds(const std::vector<crypto::Certificate>& roots, const crypto::Certificate& root) {
  return std::any_of(roots.begin(), roots.end(), [&](const crypto::Certificate& r) { return r.key() == root.key(); });
}

const std::vector<crypto::Certificate>& VendorRoots(RootKind kind) {
  const Anchors& builtin = BuiltinAnchors();
  switch (kind) {
    case RootKind::kDevice: return builtin.device_roots;
    case RootKind::kRim: return builtin.rim_roots;
    case RootKind::kAmd: return builtin.amd_roots;
    case RootKind::kIntel: return builtin.intel_roots;
  }
  return builtin.device_roots;
}

}  // namespace

const Anchors& BuiltinAnchors() {
  static const Anchors anchors = {.device_roots = {Pem(kNvidiaDeviceRoot)},
                                  .rim_roots = {Pem(kNvidiaRimRoot)},
                                  .amd_roots = {Pem(kArkMilan), Pem(kArkGenoa), Pem(kArkTurin)},
                                  .intel_roots = {Pem(kIntelSgxRoot)},
                                  .insecure_accept_emulated = false};
  return anchors;
}

const std::vector<crypto::Certificate>& BuiltinAmdIntermediates() {
  static const std::vector<crypto::Certificate> list = {Pem(kAskMilan), Pem(kAskGenoa), Pem(kAskTurin),
                                                        Pem(kAsvkMilan)};
  return list;
}

bool SaysEmulated(const crypto::Certificate& root) {
  std::string name = root.SubjectName();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find("emulated") != std::string::npos;
}

const crypto::Certificate* FindAnchor(const std::vector<crypto::Certificate>& anchors,
                                      const crypto::Certificate& claimed) {
  for (const crypto::Certificate& anchor : anchors) {
    if (anchor.key() == claimed.key() && anchor.SubjectName() == claimed.SubjectName()) return &anchor;
  }
  return nullptr;
}

const crypto::Certificate* FindIssuer(const std::vector<crypto::Certificate>& candidates,
                                      const crypto::Certificate& subject) {
  for (const crypto::Certificate& candidate : candidates) {
    if (subject.IsSignedBy(candidate)) return &candidate;
  }
  return nullptr;
}

std::string EnvironmentOf(const crypto::Certificate& root, RootKind kind) {
  if (Holds(VendorRoots(kind), root)) return "hardware";
  return SaysEmulated(root) ? "emulated" : "";
}

Finding CheckEnvironment(const crypto::Certificate& root, RootKind kind, bool accept_emulated,
                         std::string& environment) {
  const std::string found = EnvironmentOf(root, kind);
  if (environment.empty()) environment = found;
  if (found.empty()) {
    return Finding::Fail(
               Err("environment.unknown-root", "",
                   "the root \"" + root.SubjectName() + "\" is neither a vendor's nor does its name say EMULATED"))
        .Claim("environment", "hardware or emulated", "unknown");
  }
  if (found != environment) {
    return Finding::Fail(Err("environment.mixed", "",
                             "the root \"" + root.SubjectName() + "\" is " + found +
                                 ", other evidence of the same set is " + environment))
        .Claim("environment", environment, found);
  }
  if (found == "emulated" && !accept_emulated) {
    return Finding::Fail(
               Err("environment.emulated", "",
                   "the evidence is of an emulator (root \"" + root.SubjectName() +
                       "\"), which protects nothing; start the verifier with --insecure-accept-emulated to accept it"))
        .Claim("environment", "hardware", "emulated");
  }
  return Finding::Pass();
}

}  // namespace ccgpu::verify
