// The checks that each RIM of a device must pass before its values count. Included by trust/verify's own sources only.
#pragma once

#include "trust/verify/gpu/context.h"

namespace ccgpu::verify {

enum class RimRole { kDriver, kVbios, kSwitchBios };

inline RimState& StateOf(GpuContext& c, RimRole role) { return role == RimRole::kDriver ? c.driver : c.vbios; }
// "driver", "vbios", "bios": the word in NVIDIA's claims.
const char* RimWord(RimRole role);

template <RimRole kRole>
Finding RimFound(GpuContext& c);
template <RimRole kRole>
Finding RimRoot(GpuContext& c);
template <RimRole kRole>
Finding RimChain(GpuContext& c);
template <RimRole kRole>
Finding RimSignature(GpuContext& c);
template <RimRole kRole>
Finding RimVersion(GpuContext& c);

// Whether the running value is one of the alternatives, or need not be (measurement 35 without NVDEC0; the mode of an
// emulated device in an accepted devtools mode).
bool Fits(const GpuContext& c, const evidence::RimMeasurement& golden);
// The RIM of the collateral, of the same role but not the one asked for, that fits most of what runs (at least one
// index), as far as the first 64 of them tell. Only a hint: nobody checked its signature.
std::optional<NearestRim> FindNearestRim(GpuContext& c, RimRole role);
// "; the nearest one there is ...", or that there is none.
std::string NearestText(const RimState& state);

}  // namespace ccgpu::verify
