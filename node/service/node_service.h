// ccgpu.node.v1.Node over PodManager and ImageStore.
#pragma once

#include <atomic>
#include <memory>

#include "node/api/node.grpc.pb.h"
#include "node/pods/pod_manager.h"
#include "node/service/images.h"

namespace ccgpu::node {

// Everything given must outlive it. Any thread.
class NodeService final : public v1::Node::Service {
 public:
  NodeService(PodManager& pods, ImageStore& images, CriClient& cri, DeviceManager& devices);
  void Stop();  // ends running streams; pods are not touched

  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusResponse*) override;
  grpc::Status ImportImage(grpc::ServerContext*, const v1::ImportImageRequest*, v1::ImportImageResponse*) override;
  grpc::Status ListImages(grpc::ServerContext*, const v1::ListImagesRequest*, v1::ListImagesResponse*) override;
  grpc::Status RunPod(grpc::ServerContext*, const v1::RunPodRequest*, grpc::ServerWriter<v1::RunPodResponse>*) override;
  grpc::Status ListPods(grpc::ServerContext*, const v1::ListPodsRequest*, v1::ListPodsResponse*) override;
  grpc::Status DescribePod(grpc::ServerContext*, const v1::PodRef*, v1::Pod*) override;
  grpc::Status PodLogs(grpc::ServerContext*, const v1::PodLogsRequest*, grpc::ServerWriter<v1::LogLine>*) override;
  grpc::Status RemovePod(grpc::ServerContext*, const v1::PodRef*, v1::RemovePodResponse*) override;
  grpc::Status CollectEvidence(grpc::ServerContext*, const v1::CollectEvidenceRequest*,
                               v1::CollectEvidenceResponse*) override;
  grpc::Status Exec(grpc::ServerContext*, const v1::ExecRequest*, v1::ExecResponse*) override;

 private:
  Result<std::shared_ptr<Pod>> Find(const v1::PodRef& ref) const;
  void Fill(Pod& pod, bool ask_agent, v1::Pod* out);
  PodManager& pods_;
  ImageStore& images_;
  CriClient& cri_;
  DeviceManager& devices_;
  std::atomic<bool> stopping_{false};
};

}  // namespace ccgpu::node
