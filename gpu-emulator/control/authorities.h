// The authorities of an emulated deployment apart from its boards and chips: several nodes' emulators share them, so
// that one set of roots, and any node's RIM, OCSP and PCS service, fit all of them.
//
// In the state folder they are vendor/NAME.key and .pem, amd/..., intel/..., vtpm/...; carried elsewhere (as keys of a
// Kubernetes Secret, which have no folders) they are called vendor__NAME.key and so on.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace ccgpu::emulator {

// Names below the state folder without ending ("vendor/device-root"), of what GPUs with `chip` and all CPUs need.
std::vector<std::string> AuthorityNames(const std::string& chip);

// Makes what is missing, for the chips of all built-in profiles and of `profile` (a name or a file), and writes the
// roots into roots/{device,rim,amd,intel,tpm}-root.pem. Errors: "identity.damaged", those of LoadProfile.
Status MakeAuthorities(const std::string& state, const std::string& profile, TimePoint now);

// Copies the authorities in `from` (flat names; other files there are not looked at) into `state`. To be called before
// anything is made in `state`. Errors: "identity.other-authority" when `state` has another one already: what was made
// under it would stop to fit; "identity.no-authority" when one that `chip` needs is not in `from`.
Status ImportAuthorities(const std::string& from, const std::string& state, const std::string& chip);

}  // namespace ccgpu::emulator
