#include "cli/node_commands.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>

#include "base/json.h"
#include "cli/node_client.h"
#include "cli/table.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::cli {
namespace {

std::string Dump(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace); }

node::v1::PodRef Ref(const PodName& pod, bool force = false) {
  node::v1::PodRef ref;
  ref.set_name(pod.name);
  ref.set_pod_namespace(pod.pod_namespace);
  ref.set_force(force);
  return ref;
}

Json EventJson(const node::v1::Event& event) {
  return {{"time", event.time()},
          {"component", event.component()},
          {"code", event.code()},
          {"message", event.message()},
          {"subject", event.subject()}};
}

Json FailureJson(const node::v1::Failure& failure) {
  return {{"code", failure.code()}, {"subject", failure.subject()}, {"text", failure.text()}};
}

Json PodJson(const node::v1::Pod& pod) {
  Json out = {{"name", pod.name()},
              {"namespace", pod.pod_namespace()},
              {"uid", pod.uid()},
              {"sandbox_id", pod.sandbox_id()},
              {"phase", pod.phase()},
              {"runtime_handler", pod.runtime_handler()},
              {"created_at", pod.created_at()},
              {"pod_ip", pod.pod_ip()},
              {"containers", Json::array()},
              {"gpus", Json::array()},
              {"events", Json::array()},
              {"attestation", nullptr},
              {"failure", nullptr}};
  for (const auto& c : pod.containers()) {
    out["containers"].push_back({{"name", c.name()},
                                 {"image", c.image()},
                                 {"state", c.state()},
                                 {"exit_code", c.exit_code()},
                                 {"reason", c.reason()},
                                 {"message", c.message()},
                                 {"container_id", c.container_id()}});
  }
  for (const auto& gpu : pod.gpus())
    out["gpus"].push_back({{"device_id", gpu.device_id()}, {"container", gpu.container()}});
  for (const auto& event : pod.events()) out["events"].push_back(EventJson(event));
  if (!pod.attestation_status_json().empty()) {
    auto status = ParseJson(pod.attestation_status_json(), "attestation");
    out["attestation"] = status.ok() ? *status : Json(pod.attestation_status_json());
  }
  if (pod.has_failure()) out["failure"] = FailureJson(pod.failure());
  return out;
}

void PrintPod(std::ostream& out, const node::v1::Pod& pod) {
  out << "Name:       " << pod.name() << "\nNamespace:  " << pod.pod_namespace() << "\nPhase:      " << pod.phase()
      << "\nHandler:    " << pod.runtime_handler() << "\nCreated:    " << pod.created_at()
      << "\nAddress:    " << pod.pod_ip() << "\nSandbox:    " << pod.sandbox_id() << "\n";
  if (pod.has_failure()) {
    out << "Failure:    " << pod.failure().code() << "\n            " << pod.failure().subject() << ": "
        << pod.failure().text() << "\n";
  }
  out << "Containers:\n";
  for (const auto& c : pod.containers()) {
    out << "  " << c.name() << "  " << c.image() << "  " << c.state();
    if (c.state() == "Exited" || c.state() == "exited" || c.exit_code() != 0) out << " (" << c.exit_code() << ")";
    if (!c.reason().empty()) out << "  " << c.reason();
    if (!c.message().empty()) out << ": " << c.message();
    out << "\n";
  }
  if (pod.gpus_size() > 0) out << "GPUs:\n";
  for (const auto& gpu : pod.gpus()) out << "  " << gpu.device_id() << "  for " << gpu.container() << "\n";
  if (!pod.attestation_status_json().empty()) out << "Attestation: " << pod.attestation_status_json() << "\n";
  out << "Events:\n";
  for (const auto& event : pod.events()) {
    out << "  " << event.time() << "  " << event.component() << "  " << event.code()
        << (event.subject().empty() ? "" : "  " + event.subject())
        << (event.message().empty() ? "" : "  " + event.message()) << "\n";
  }
}

images::ImageInfo ToInfo(const node::v1::Image& image) {
  return {.reference = image.reference(),
          .manifest_digest = image.manifest_digest(),
          .config_json = image.config_json(),
          .rootfs_digest = image.rootfs_digest(),
          .size = image.size(),
          .etc_passwd = image.etc_passwd(),
          .etc_group = image.etc_group()};
}

void PrintImages(Context& context, const google::protobuf::RepeatedPtrField<node::v1::Image>& images) {
  if (context.json) {
    Json list = Json::array();
    for (const auto& image : images) {
      list.push_back({{"reference", image.reference()},
                      {"manifest_digest", image.manifest_digest()},
                      {"rootfs_digest", image.rootfs_digest()},
                      {"size", image.size()}});
    }
    context.out << Dump(list) << "\n";
    return;
  }
  Table table({"REFERENCE", "SIZE", "ROOTFS"});
  for (const auto& image : images) table.Add({image.reference(), std::to_string(image.size()), image.rootfs_digest()});
  table.Print(context.out);
}

}  // namespace

PodName ParsePodName(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {text, ""};
  return {text.substr(slash + 1), text.substr(0, slash)};
}

int ListPods(Context& context) {
  grpc::ClientContext call;
  node::v1::ListPodsResponse response;
  if (auto status = ConnectNode(context)->ListPods(&call, {}, &response); !status.ok())
    return Report(context, CallError(context, status));
  if (context.json) {
    Json list = Json::array();
    for (const auto& pod : response.pods()) list.push_back(PodJson(pod));
    context.out << Dump(list) << "\n";
    return kOk;
  }
  Table table({"NAMESPACE", "NAME", "PHASE", "CONTAINERS", "GPUS", "CREATED"});
  for (const auto& pod : response.pods()) {
    table.Add({pod.pod_namespace(), pod.name(), pod.phase(), std::to_string(pod.containers_size()),
               std::to_string(pod.gpus_size()), pod.created_at()});
  }
  table.Print(context.out);
  return kOk;
}

int DescribePod(Context& context, const PodName& pod) {
  grpc::ClientContext call;
  node::v1::Pod response;
  if (auto status = ConnectNode(context)->DescribePod(&call, Ref(pod), &response); !status.ok())
    return Report(context, CallError(context, status));
  if (context.json) context.out << Dump(PodJson(response)) << "\n";
  else PrintPod(context.out, response);
  return kOk;
}

int PodLogs(Context& context, const PodName& pod, const std::string& container, bool follow) {
  node::v1::PodLogsRequest request;
  *request.mutable_pod() = Ref(pod);
  request.set_container(container);
  request.set_follow(follow);
  grpc::ClientContext call;
  auto node = ConnectNode(context);
  auto stream = node->PodLogs(&call, request);
  node::v1::LogLine line;
  while (stream->Read(&line)) {
    std::string text = line.text();
    while (text.ends_with('\n')) text.pop_back();
    if (context.json) {
      context.out << Json{{"container", line.container()}, {"stream", line.stream()}, {"text", text}}.dump(
                         -1, ' ', false, Json::error_handler_t::replace)
                  << std::endl;
    } else {
      (line.stream() == "stderr" ? context.err : context.out) << text << std::endl;
    }
  }
  if (auto status = stream->Finish(); !status.ok()) return Report(context, CallError(context, status));
  return kOk;
}

int RemovePods(Context& context, const std::vector<PodName>& pods, bool force) {
  int code = kOk;
  auto node = ConnectNode(context);
  for (const PodName& pod : pods) {
    grpc::ClientContext call;
    node::v1::RemovePodResponse response;
    if (auto status = node->RemovePod(&call, Ref(pod, force), &response); !status.ok()) {
      code = Report(context, CallError(context, status));
    } else if (!context.json) {
      context.out << "removed " << pod.name << "\n";
    }
  }
  if (context.json && code == kOk) context.out << Json{{"removed", pods.size()}}.dump() << "\n";
  return code;
}

int ExecInPod(Context& context, const PodName& pod, const std::string& container,
              const std::vector<std::string>& command, int timeout_seconds) {
  node::v1::ExecRequest request;
  *request.mutable_pod() = Ref(pod);
  request.set_container(container);
  for (const std::string& word : command) request.add_command(word);
  request.set_timeout_seconds(timeout_seconds);
  grpc::ClientContext call;
  node::v1::ExecResponse response;
  if (auto status = ConnectNode(context)->Exec(&call, request, &response); !status.ok())
    return Report(context, CallError(context, status));
  if (response.has_failure()) {
    const auto& failure = response.failure();
    const bool refused = failure.code().starts_with("policy.") || failure.code().starts_with("gpu.") ||
                         failure.code().starts_with("attest");
    return Report(context, Error::FromWire(failure.code(), failure.subject(), failure.text()),
                  refused ? kRefused : kFailed);
  }
  if (context.json) {
    context.out << Dump({{"stdout", response.standard_output()},
                         {"stderr", response.standard_error()},
                         {"exit_code", response.exit_code()}})
                << "\n";
  } else {
    context.out << response.standard_output() << std::flush;
    context.err << response.standard_error() << std::flush;
  }
  return response.exit_code() == 0 ? kOk : kFailed;
}

int ListImages(Context& context) {
  grpc::ClientContext call;
  node::v1::ListImagesResponse response;
  if (auto status = ConnectNode(context)->ListImages(&call, {}, &response); !status.ok())
    return Report(context, CallError(context, status));
  PrintImages(context, response.images());
  return kOk;
}

int ImportImages(Context& context, const std::vector<std::string>& archives) {
  auto node = ConnectNode(context);
  node::v1::ImportImageResponse all;
  for (const std::string& archive : archives) {
    if (!std::filesystem::exists(archive))
      return Report(context, Err("file.not-found", archive, "there is no such file"), kUsage);
    grpc::ClientContext call;
    node::v1::ImportImageRequest request;
    request.set_archive_path(std::filesystem::absolute(archive));
    node::v1::ImportImageResponse response;
    if (auto status = node->ImportImage(&call, request, &response); !status.ok())
      return Report(context, CallError(context, status));
    all.MergeFrom(response);
  }
  PrintImages(context, all.images());
  return kOk;
}

int DigestImage(Context& context, const std::string& path) {
  Json list = Json::array();
  if (std::filesystem::is_directory(path)) {
    auto digest = policy::DigestDirectory(path);
    if (!digest.ok()) return Report(context, digest.error(), kUsage);
    list.push_back({{"reference", path}, {"rootfs_digest", *digest}});
  } else {
    auto images = images::ReadArchive(path);
    if (!images.ok()) return Report(context, images.error(), kUsage);
    for (const auto& image : *images)
      list.push_back({{"reference", image.reference}, {"rootfs_digest", image.rootfs_digest}});
  }
  if (context.json) {
    context.out << Dump(list) << "\n";
  } else {
    for (const Json& one : list)
      context.out << one["rootfs_digest"].get<std::string>() << "  " << one["reference"].get<std::string>() << "\n";
  }
  return kOk;
}

Result<std::map<std::string, images::ImageInfo>> ImagesOfNode(const Context& context) {
  grpc::ClientContext call;
  node::v1::ListImagesResponse response;
  if (auto status = ConnectNode(context)->ListImages(&call, {}, &response); !status.ok())
    return CallError(context, status);
  std::map<std::string, images::ImageInfo> out;
  for (const auto& image : response.images()) out[image.reference()] = ToInfo(image);
  return out;
}

Result<std::string> EvidenceOfPod(const Context& context, const PodName& pod, const std::string& nonce_bytes) {
  node::v1::CollectEvidenceRequest request;
  *request.mutable_pod() = Ref(pod);
  request.set_nonce(nonce_bytes);
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  node::v1::CollectEvidenceResponse response;
  if (auto status = ConnectNode(context)->CollectEvidence(&call, request, &response); !status.ok())
    return CallError(context, status);
  return response.evidence_json();
}

}  // namespace ccgpu::cli
