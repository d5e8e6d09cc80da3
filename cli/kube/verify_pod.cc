#include "cli/kube/verify_pod.h"

#include <httplib.h>

#include "base/encoding.h"
#include "base/file.h"
#include "cli/sealed.h"
#include "node/cri/refusal.h"
#include "trust/evidence/composite.h"

namespace ccgpu::cli {
namespace {

constexpr int kAgentPort = 8006;

Result<std::string> AskAgent(const Kubectl& kubectl, const PodReference& pod, const Bytes& nonce) {
  ASSIGN_OR_RETURN(const PortForward forward,
                   PortForward::Open(kubectl, {"-n", pod.pod_namespace}, "pod/" + pod.name, kAgentPort));
  httplib::Client client("127.0.0.1", forward.local_port());
  client.set_connection_timeout(10);
  client.set_read_timeout(60);
  client.set_keep_alive(false);
  const auto answer = client.Get("/ccgpu/evidence?nonce=" + HexEncode(nonce));
  const std::string where = pod.pod_namespace + "/" + pod.name;
  if (!answer) {
    return Err("cli.unavailable-agent", where,
               "no agent answers on port 8006 of the pod (" + httplib::to_string(answer.error()) +
                   "): does it run, under runtimeClassName ccgpu, with a broker in its policy?");
  }
  if (answer->status != 200) {
    if (auto reason = node::FindReason(answer->body)) return *reason;
    return Err("cli.agent-failed", where,
               "the agent answers HTTP " + std::to_string(answer->status) + ": " + answer->body.substr(0, 300));
  }
  return answer->body;
}

// The digest that the evidence must hold, and which word says so.
Status ExpectPolicy(const Cluster& cluster, const PodReference& pod, VerifyPodOptions& options,
                    std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const Json object, GetPod(cluster, pod));
  const std::string where = pod.pod_namespace + "/" + pod.name;
  const std::string phase = TextAt(object, "/status/phase");
  if (phase != "Running")
    return Err(
        "cli.pod-not-running", where,
        "is in phase " + phase + ": only a running pod can make evidence (`kubectl ccgpu explain " + where + "`)");
  const std::string annotation = AnnotationOf(object, std::string(kbs::kInitDataAnnotation));
  if (annotation.empty()) return Err("cli.not-sealed", where, "carries no policy: `kubectl ccgpu policy generate`");
  ASSIGN_OR_RETURN(const Sealed shown, OpenSealed(annotation));
  if (!policy::FitsPodName(shown.policy, pod.name) || shown.policy.pod_namespace != pod.pod_namespace) {
    return Err("cli.other-pod", where,
               "carries the policy of another pod: " + shown.policy.pod_namespace + "/" + shown.policy.pod_name +
                   shown.policy.generate_name);
  }
  if (!options.sealed_file.empty()) {
    ASSIGN_OR_RETURN(const std::vector<Sealed> files, ReadSealed(options.sealed_file));
    const Sealed* wanted = nullptr;
    for (const Sealed& one : files) {
      if (policy::FitsPodName(one.policy, pod.name) && one.policy.pod_namespace == pod.pod_namespace) wanted = &one;
    }
    if (wanted == nullptr) return Err("cli.other-pod", options.sealed_file, "holds no policy that is for pod " + where);
    if (!options.judge.host_data.empty() && options.judge.host_data != wanted->digest)
      return Err("cli.bad-option", "--host-data", "is not the digest of " + options.sealed_file);
    options.judge.host_data = wanted->digest;
    if (wanted->digest != shown.digest)
      notes.push_back("the policy that the API shows (" + shown.digest + ") is not the one of " + options.sealed_file);
    return Ok();
  }
  if (options.judge.host_data.empty()) {
    options.judge.host_data = shown.digest;
    notes.push_back(
        "which policy the pod should have is the cluster's word; --sealed FILE or --host-data make it yours");
  }
  return Ok();
}

Status TrustCluster(const Cluster& cluster, VerifyPodOptions& options, std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const TrustMap map, ReadTrustMap(cluster));
  for (const std::string& pem : map.roots_pem)
    options.judge.root_texts.push_back({"ConfigMap " + cluster.system_namespace + "/ccgpu-trust", pem, Json()});
  options.judge.insecure_accept_emulated =
      options.judge.insecure_accept_emulated || map.choices.insecure_accept_emulated;
  notes.push_back(
      "--trust-from-cluster: whoever can write the cluster's ConfigMap ccgpu-trust decides what counts as "
      "genuine" +
      std::string(map.choices.insecure_accept_emulated ? "; it accepts EMULATED evidence" : ""));
  return Ok();
}

Status Prepare(const Cluster& cluster, VerifyPodOptions& options, const Bytes& nonce, std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const PodReference pod, FindPod(cluster, options.pod));
  RETURN_IF_ERROR(ExpectPolicy(cluster, pod, options, notes));
  if (options.trust_from_cluster) RETURN_IF_ERROR(TrustCluster(cluster, options, notes));
  ASSIGN_OR_RETURN(const std::string text, AskAgent(cluster.kubectl, pod, nonce));
  auto parsed = evidence::ParseComposite(text);
  if (!parsed.ok()) return parsed.error().In("evidence from the pod's agent");
  if (!options.output.empty()) RETURN_IF_ERROR(WriteFileAtomic(options.output, text + "\n"));
  options.judge.inputs.push_back(MakeInput(pod.pod_namespace + "/" + pod.name, text));
  return Ok();
}

}  // namespace

int VerifyPod(Context& context, const Cluster& cluster, VerifyPodOptions options, crypto::Random& random) {
  Bytes nonce = random.Take(32);
  if (!options.judge.nonce_hex.empty()) {
    auto given = HexDecode(options.judge.nonce_hex);
    if (!given.ok() || given->size() < 16 || given->size() > 64)
      return Report(context, Err("input.bad-value", "--nonce", "must be 32 to 128 hexadecimal digits (16 to 64 bytes)"),
                    kUsage);
    nonce = *given;
  }
  options.judge.nonce_hex = HexEncode(nonce);
  std::vector<std::string> notes;
  if (Status prepared = Prepare(cluster, options, nonce, notes); !prepared.ok())
    return Report(context, prepared.error());
  for (const std::string& note : notes) context.err << "kubectl ccgpu: warning: " << note << "\n";
  return VerifyEvidence(context, options.judge);
}

}  // namespace ccgpu::cli
