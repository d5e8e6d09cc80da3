#include "device-plugin/plugin/cdi_spec.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::deviceplugin {

std::string CdiName(const std::string& device_id) { return std::string(kResourceName) + "=" + device_id; }

std::string CdiAnnotationKey(const std::string& device_id) { return "cdi.k8s.io/ccgpu_" + device_id; }

std::string CdiSpec(const Snapshot& devices) {
  Json list = Json::array();
  for (const auto& gpu : devices.gpus) {
    list.push_back({{"name", gpu.id}, {"containerEdits", {{"env", {"CCGPU_GPU_UUIDS=" + gpu.id}}}}});
  }
  const Json spec = {{"cdiVersion", "0.5.0"}, {"kind", kResourceName}, {"devices", list}};
  return spec.dump(2) + "\n";
}

Status WriteCdiSpec(const std::string& dir, const Snapshot& devices) {
  const std::string path = dir + "/ccgpu.dev-cc-gpu.json";
  if (devices.gpus.empty()) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return ErrnoError("plugin.cdi-write-failed", "cannot remove", path);
    return Ok();
  }
  RETURN_IF_ERROR(MakeDirs(dir));
  return WriteFileAtomic(path, CdiSpec(devices));
}

}  // namespace ccgpu::deviceplugin
