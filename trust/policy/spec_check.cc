#include "trust/policy/spec_check.h"

#include <algorithm>
#include <set>

#include "trust/policy/image_name.h"
#include "trust/policy/paths.h"

namespace ccgpu::policy::internal {
namespace {

Error BadSpec(const std::string& where, const char* key, const char* what) {
  return Err("policy.bad-spec", where.empty() ? key : where + "." + key,
             std::string("the spec from the host must hold ") + what + " here");
}

bool Absent(const Json& object, const char* key) {
  return !object.is_object() || !object.contains(key) || object[key].is_null();
}

// Annotations that CRI and kubelet write by themselves. None of them changes what runc does.
const std::set<std::string_view>& KnownAnnotations() {
  static const std::set<std::string_view> kKnown = {"io.katacontainers.config.hypervisor.cc_init_data",
                                                    "io.kubernetes.cri.sandbox-id",
                                                    "io.kubernetes.cri.sandbox-uid",
                                                    "io.kubernetes.cri.sandbox-log-directory",
                                                    "io.kubernetes.cri.sandbox-cpu-period",
                                                    "io.kubernetes.cri.sandbox-cpu-quota",
                                                    "io.kubernetes.cri.sandbox-cpu-shares",
                                                    "io.kubernetes.cri.sandbox-memory",
                                                    "io.kubernetes.cri.podsandbox.image-name",
                                                    "io.containerd.cri.runtime-handler"};
  return kKnown;
}

}  // namespace

std::string Show(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + (text.size() > 200 ? "...\"" : "\"");
}

std::string ShowJson(const Json& value) {
  if (value.is_string()) return Show(std::string_view(value.get_ref<const std::string&>()));
  std::string text = Show(value.dump(-1, ' ', true, Json::error_handler_t::replace));
  return text.substr(1, text.size() - 2);
}

std::string NameWanted(const PodPolicy& pod) {
  if (pod.generate_name.empty()) return Show(pod.pod_name);
  return "a name that begins with " + Show(pod.generate_name) + " and goes on in a-z, 0-9 and \"-\"";
}

Error Differs(Reason code, std::string subject, const std::string& expected, const std::string& found) {
  return Err(code, std::move(subject), "expected " + expected + ", found " + found);
}

Result<std::vector<std::string>> Strings(const Json& object, const char* key, const std::string& where) {
  std::vector<std::string> out;
  if (Absent(object, key)) return out;
  if (!object[key].is_array()) return BadSpec(where, key, "a list of strings");
  for (const Json& item : object[key]) {
    if (!item.is_string()) return BadSpec(where, key, "a list of strings");
    out.push_back(item.get<std::string>());
    if (out.back().find('\0') != std::string::npos) return BadSpec(where, key, "strings without NUL bytes");
  }
  return out;
}

Result<std::string> Text(const Json& object, const char* key, const std::string& where) {
  if (Absent(object, key)) return std::string();
  if (!object[key].is_string()) return BadSpec(where, key, "a string");
  return object[key].get<std::string>();
}

Result<bool> Flag(const Json& object, const char* key, const std::string& where) {
  if (Absent(object, key)) return false;
  if (!object[key].is_boolean()) return BadSpec(where, key, "true or false");
  return object[key].get<bool>();
}

Result<uint64_t> Number(const Json& object, const char* key, const std::string& where) {
  if (Absent(object, key)) return uint64_t{0};
  if (!object[key].is_number_unsigned()) return BadSpec(where, key, "a number that is not negative");
  return object[key].get<uint64_t>();
}

Result<Json> Object(const Json& object, const char* key, const std::string& where) {
  if (Absent(object, key)) return Json::object();
  if (!object[key].is_object()) return BadSpec(where, key, "an object");
  return object[key];
}

Result<Json> List(const Json& object, const char* key, const std::string& where) {
  if (Absent(object, key)) return Json::array();
  if (!object[key].is_array()) return BadSpec(where, key, "a list");
  return object[key];
}

Status OnlyKnown(const Json& object, std::initializer_list<std::string_view> known, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const bool nothing = value.is_null() || ((value.is_array() || value.is_object()) && value.empty()) ||
                         (value.is_string() && value.get_ref<const std::string&>().empty());
    if (nothing) continue;
    return Err("policy.unknown-field", where.empty() ? key : where + "." + key,
               "no policy allows this field, found " + Show(value));
  }
  return Ok();
}

Status RefuseHooks(const Json& spec, const std::string& rule) {
  if (Absent(spec, "hooks") || spec["hooks"].empty()) return Ok();
  for (const auto& [stage, hooks] : spec["hooks"].items()) {
    if (hooks.is_null() || hooks.empty()) continue;
    return Differs("policy.hook", rule + ".hooks." + stage, "no hook (hooks are programs of the host)", Show(hooks));
  }
  return Ok();
}

Status CheckAnnotations(const PodPolicy& pod, const ContainerPolicy* container, const Json& spec,
                        const std::string& rule) {
  ASSIGN_OR_RETURN(const Json annotations, Object(spec, "annotations", "spec"));
  std::map<std::string, std::string> fixed = {{"io.kubernetes.cri.container-type", container ? "container" : "sandbox"},
                                              {"io.kubernetes.cri.sandbox-namespace", pod.pod_namespace}};
  if (container) fixed["io.kubernetes.cri.container-name"] = container->name;
  for (const auto& [key, value] : annotations.items()) {
    const std::string subject = rule + ".annotations[" + Show(key).substr(0, 80) + "]";
    if (!value.is_string()) return Err("policy.bad-spec", subject, "an annotation is a string");
    const std::string& text = value.get_ref<const std::string&>();
    if (container && key == "io.kubernetes.cri.image-name") {
      if (!MayNameImage(text, container->image))
        return Differs("policy.image", rule + ".image", Show(container->image), Show(text));
      continue;
    }
    if (key == "io.kubernetes.cri.sandbox-name") {
      if (!FitsPodName(pod, text)) return Differs("policy.annotation", subject, NameWanted(pod), Show(text));
      continue;
    }
    if (auto it = fixed.find(key); it != fixed.end()) {
      if (text != it->second) return Differs("policy.annotation", subject, Show(it->second), Show(text));
      continue;
    }
    // ccgpu.dev/ and cdi.k8s.io/ are only read by the host half; what they lead to (GPUs, devices) is checked as such.
    if (KnownAnnotations().contains(key) || key.starts_with("cdi.k8s.io/") || key.starts_with("ccgpu.dev/")) continue;
    return Err("policy.annotation", subject, "no policy allows this annotation, found " + Show(text));
  }
  return Ok();
}

}  // namespace ccgpu::policy::internal
