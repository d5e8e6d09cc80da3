#include "node/cri/exit_notice.h"

#include <grpcpp/grpcpp.h>

#include "node/cri/events.grpc.pb.h"

namespace ccgpu::node {

namespace events = containerd::services::events::v1;

ExitNotice::ExitNotice(std::string socket) : socket_(std::move(socket)) {}

ExitNotice::~ExitNotice() { Stop(); }

void ExitNotice::Start() {
  thread_ = std::thread([this] { Run(); });
}

void ExitNotice::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->TryCancel();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

uint64_t ExitNotice::count() const {
  std::lock_guard lock(mutex_);
  return count_;
}

bool ExitNotice::connected() const {
  std::lock_guard lock(mutex_);
  return connected_;
}

uint64_t ExitNotice::Wait(uint64_t seen, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return count_ != seen || stopping_; });
  return count_;
}

void ExitNotice::Nudge() {
  std::lock_guard lock(mutex_);
  count_++;
  changed_.notify_all();
}

void ExitNotice::Run() {
  for (;;) {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    args.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    auto stub =
        events::Events::NewStub(grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), args));
    grpc::ClientContext context;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      stream_ = &context;
    }
    events::SubscribeRequest request;
    request.add_filters("topic==\"/tasks/exit\"");
    auto reader = stub->Subscribe(&context, request);
    reader->WaitForInitialMetadata();
    {
      std::lock_guard lock(mutex_);
      connected_ = true;
    }
    events::Envelope envelope;
    while (reader->Read(&envelope)) Nudge();
    (void)reader->Finish();
    std::unique_lock lock(mutex_);
    connected_ = false;
    stream_ = nullptr;
    changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return stopping_; });
    if (stopping_) return;
  }
}

}  // namespace ccgpu::node
