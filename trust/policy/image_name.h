// Names of images. They say nothing about content (rootfsDigest does); they are compared because people read them.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::policy {

// The name with what people leave out: "busybox" -> "docker.io/library/busybox:latest", as containerd writes it.
std::string FullImageName(std::string_view name);

// Whether a runtime may call an image `found` where the manifest says `wanted`: the same name in full, the same
// repository by digest, or the image's id alone ("sha256:<64 hex>", what a node has without any name).
bool MayNameImage(std::string_view found, std::string_view wanted);

}  // namespace ccgpu::policy
