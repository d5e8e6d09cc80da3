// Names that containerd and the shim's halves call each other by.
#pragma once

namespace ccgpu::shim {

inline constexpr char kTaskService[] = "containerd.task.v2.Task";
inline constexpr char kEventsService[] = "containerd.services.events.ttrpc.v1.Events";
inline constexpr char kGuestService[] = "ccgpu.shim.v1.Guest";
inline constexpr char kHostService[] = "ccgpu.shim.v1.Host";

inline constexpr char kChannelTask[] = "task";
inline constexpr char kChannelHost[] = "host";
inline constexpr char kChannelPids[] = "pids";
inline constexpr char kChannelLog[] = "log";

// Annotations that containerd's CRI plugin writes into config.json.
inline constexpr char kCriContainerType[] = "io.kubernetes.cri.container-type";  // "sandbox" | "container"
inline constexpr char kCriSandboxId[] = "io.kubernetes.cri.sandbox-id";
inline constexpr char kCriSandboxName[] = "io.kubernetes.cri.sandbox-name";
inline constexpr char kCriSandboxNamespace[] = "io.kubernetes.cri.sandbox-namespace";
inline constexpr char kCriSandboxUid[] = "io.kubernetes.cri.sandbox-uid";
inline constexpr char kCriContainerName[] = "io.kubernetes.cri.container-name";
inline constexpr char kCriImageName[] = "io.kubernetes.cri.image-name";
inline constexpr char kGroupAnnotation[] = "io.containerd.runc.v2.group";

// Folders inside the sandbox, all on a tmpfs that only guestd's mount namespace has.
inline constexpr char kGuestDir[] = "/run/ccgpu";

}  // namespace ccgpu::shim
