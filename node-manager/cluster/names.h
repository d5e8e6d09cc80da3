// The words that ccgpu puts on Kubernetes objects, in one place. docs/operations.md explains them to people.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::nodemanager {

// Node labels of others.
inline constexpr char kEnabledLabel[] = "ccgpu.dev/enabled";      // the user's: this node is ours
inline constexpr char kInstalledLabel[] = "ccgpu.dev/installed";  // the installer's
inline constexpr char kReadyLabel[] = "ccgpu.dev/ready";          // the installer's
inline constexpr char kModeLabel[] = "ccgpu.dev/cc.mode";         // the user's: the mode that is wanted

// Node labels of ours.
inline constexpr char kModelLabel[] = "ccgpu.dev/gpu.model";
inline constexpr char kCountLabel[] = "ccgpu.dev/gpu.count";
inline constexpr char kTeeLabel[] = "ccgpu.dev/tee";
inline constexpr char kModeStateLabel[] = "ccgpu.dev/cc.mode.state";    // a mode, mixed, switching or failed
inline constexpr char kReadyStateLabel[] = "ccgpu.dev/cc.ready.state";  // true: pods may rely on cc.mode.state
inline constexpr const char* kOurLabels[] = {kModelLabel, kCountLabel, kTeeLabel, kModeStateLabel, kReadyStateLabel};

// Annotations of ours on a Node: the journal of a switch under way, and why the last one failed.
inline constexpr char kSwitchAnnotation[] = "ccgpu.dev/cc.mode.switch";
inline constexpr char kFailureAnnotation[] = "ccgpu.dev/cc.mode.failure";
// On a Node whose label `enabled` the chart's setup set: uninstalling takes it off.
inline constexpr char kEnabledBySetup[] = "ccgpu.dev/enabled-by-setup";
// While a switch is under way: keeps new pods away.
inline constexpr char kSwitchTaint[] = "ccgpu.dev/cc-mode-switch";

// On the installer's DaemonSet: put the nodes back.
inline constexpr char kUninstallAnnotation[] = "ccgpu.dev/uninstall";

inline constexpr char kNodeCondition[] = "ccgpu.dev/CCGPUReady";
inline constexpr char kPodCondition[] = "ccgpu.dev/Attested";
inline constexpr char kReporter[] = "ccgpu.dev/node-manager";  // of Events

// `text` as a label's value: at most 63 characters of [A-Za-z0-9._-], beginning and ending with a letter or digit.
// "NVIDIA H100 80GB HBM3 (EMULATED)" -> "NVIDIA-H100-80GB-HBM3-EMULATED".
std::string LabelSafe(std::string_view text);

// "gpu.link-down" -> "GpuLinkDown": a reason as conditions and Events want it.
std::string CamelCase(std::string_view code);

}  // namespace ccgpu::nodemanager
