// The part of the manifest parser that reads one container.
#pragma once

#include "base/yaml.h"
#include "node/manifest/pod_spec.h"

namespace ccgpu::node {

// Errors go into the map's error list. `pod` has its metadata already.
ContainerSpec ReadContainer(YamlMap map, const PodSpec& pod, const SecurityContext& pod_security);
// Only what every sandbox takes as it is: none, or containerd's own profile.
void ReadAppArmor(YamlMap& security);
SeccompProfile ReadSeccomp(YamlMap& security, SeccompProfile inherited);

}  // namespace ccgpu::node
