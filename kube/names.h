// The words that ccgpu's parts put on Kubernetes objects and know each other by. docs/operations.md explains them to
// people.
#pragma once

namespace ccgpu::kube {

// Node labels: the user's.
inline constexpr char kEnabledLabel[] = "ccgpu.dev/enabled";  // this node is ours
inline constexpr char kModeLabel[] = "ccgpu.dev/cc.mode";     // the mode that is wanted
// The node installer's.
inline constexpr char kInstalledLabel[] = "ccgpu.dev/installed";
inline constexpr char kReadyLabel[] = "ccgpu.dev/ready";
// The node manager's.
inline constexpr char kModelLabel[] = "ccgpu.dev/gpu.model";
inline constexpr char kCountLabel[] = "ccgpu.dev/gpu.count";
inline constexpr char kTeeLabel[] = "ccgpu.dev/tee";
inline constexpr char kModeStateLabel[] = "ccgpu.dev/cc.mode.state";    // a mode, mixed, switching or failed
inline constexpr char kReadyStateLabel[] = "ccgpu.dev/cc.ready.state";  // true: pods may rely on cc.mode.state
inline constexpr const char* kNodeManagerLabels[] = {kModelLabel, kCountLabel, kTeeLabel, kModeStateLabel,
                                                     kReadyStateLabel};

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

}  // namespace ccgpu::kube
