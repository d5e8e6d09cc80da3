// The pieces of CheckCreate, CheckExec and CheckSandbox: each compares one part of an OCI spec with the policy and
// reports the first difference. Private to trust/policy.
//
// "What CRI and kubelet add by themselves" (default mounts, paths, devices, variables) was taken from what containerd
// 1.6.20 and 2.4.2 write; see testdata/.
#pragma once

#include <concepts>

#include "base/json.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::policy::internal {

// A value for an error text: quoted, printable, cut after 200 bytes. The host chose it.
std::string Show(std::string_view text);
std::string ShowJson(const Json& value);
template <std::same_as<Json> T>  // no conversions: a string is a string
std::string Show(const T& value) {
  return ShowJson(value);
}

// The pod's name, or what it must look like.
std::string NameWanted(const PodPolicy& pod);

// "expected X, found Y".
Error Differs(Reason code, std::string subject, const std::string& expected, const std::string& found);

// Members of objects from the host. Another type than expected is policy.bad-spec.
Result<std::vector<std::string>> Strings(const Json& object, const char* key, const std::string& where);
Result<std::string> Text(const Json& object, const char* key, const std::string& where);  // "" when absent
Result<bool> Flag(const Json& object, const char* key, const std::string& where);         // false when absent
Result<uint64_t> Number(const Json& object, const char* key, const std::string& where);   // 0 when absent
Result<Json> Object(const Json& object, const char* key, const std::string& where);       // {} when absent
Result<Json> List(const Json& object, const char* key, const std::string& where);         // [] when absent
// Every member that is not in `known` (and is not null or empty) is policy.unknown-field.
Status OnlyKnown(const Json& object, std::initializer_list<std::string_view> known, const std::string& where);

// `rule` is the prefix of subjects, "containers[app]".
Status CheckArgs(const ContainerPolicy& policy, const Json& process, const std::string& rule);
// Everything of a process but its arguments. An exec with a terminal may carry TERM=xterm in addition.
Status CheckProcess(const PodPolicy& pod, const ContainerPolicy& policy, const Json& process, const std::string& rule,
                    bool exec);
Status CheckMounts(const ContainerPolicy& policy, const Json& spec, const std::string& rule);
// The `linux` object of a container.
Status CheckLinux(const PodPolicy& pod, const Json& spec, const std::string& rule);
// The `linux` object and the rest of a sandbox.
Status CheckSandboxSpec(const PodPolicy& pod, const Json& spec);
Status CheckAnnotations(const PodPolicy& pod, const ContainerPolicy* container, const Json& spec,
                        const std::string& rule);
Status RefuseHooks(const Json& spec, const std::string& rule);

}  // namespace ccgpu::policy::internal
