#include "gpu-emulator/guest/socket/client.h"

#include <poll.h>

#include <cstdlib>

namespace ccgpu::socket {
namespace {

Bytes Words(std::initializer_list<uint32_t> words) {
  Writer out;
  for (const uint32_t word : words) out.U32(word);
  return std::move(out).Finish();
}

}  // namespace

Result<std::unique_ptr<Client>> Client::Connect(std::string path) {
  if (path.empty()) {
    const char* from_environment = std::getenv(kPathVariable);
    path = from_environment && *from_environment ? from_environment : kDefaultPath;
  }
  ASSIGN_OR_RETURN(Fd fd, socket::Connect(path));
  std::unique_ptr<Client> client(new Client(std::move(fd)));
  ASSIGN_OR_RETURN(Message hello, client->Call(Op::kHello, Words({kProtocolVersion})));
  Reader in(hello.bytes);
  const uint32_t version = in.U32();
  client->gpus_ = in.U32();
  client->may_set_ready_ = in.U8() == 1;
  if (!in.AtEnd() || version != kProtocolVersion)
    return Err("driver.version", path, "speaks another version of the driver socket");
  return client;
}

Result<Message> Client::Call(Op op, ByteView arguments) {
  Writer request;
  request.U32(static_cast<uint32_t>(op)).Raw(arguments);
  const std::scoped_lock lock(mutex_);
  RETURN_IF_ERROR(Send(fd_.get(), request.bytes()));
  ASSIGN_OR_RETURN(Message message, Receive(fd_.get(), kMaxMessage));
  Result<Bytes> answer = link::DecodeAnswer(message.bytes);
  Wipe(message.bytes);  // some answers carry keys
  if (!answer.ok()) return std::move(answer).error();
  message.bytes = std::move(*answer);
  return message;
}

Result<GpuInfo> Client::Info(uint32_t gpu) {
  ASSIGN_OR_RETURN(Message message, Call(Op::kInfo, Words({gpu})));
  return link::DecodeGpuInfo(message.bytes);
}

Result<std::pair<ChannelGrant, Fd>> Client::OpenChannel(uint32_t gpu) {
  ASSIGN_OR_RETURN(Message message, Call(Op::kOpenChannel, Words({gpu})));
  Result<ChannelGrant> grant = DecodeChannelGrant(message.bytes);
  Wipe(message.bytes);
  if (!grant.ok()) return std::move(grant).error();
  if (!message.fd.valid()) return Err("driver.io", "driver socket", "the channel came without its memory");
  return std::make_pair(std::move(*grant), std::move(message.fd));
}

Status Client::CloseChannel(uint32_t gpu, uint32_t channel) {
  ASSIGN_OR_RETURN(Message message, Call(Op::kCloseChannel, Words({gpu, channel})));
  return Ok();
}

Result<Bytes> Client::Attest(uint32_t gpu, ByteView nonce32) {
  ASSIGN_OR_RETURN(Message message, Call(Op::kAttest, Concat({Words({gpu}), nonce32})));
  return std::move(message.bytes);
}

Result<std::string> Client::Chain(uint32_t gpu) {
  ASSIGN_OR_RETURN(Message message, Call(Op::kChain, Words({gpu})));
  return ToText(message.bytes);
}

Result<bool> Client::GetReady() {
  ASSIGN_OR_RETURN(Message message, Call(Op::kGetReady, {}));
  if (message.bytes.size() != 1) return Err("link.bad-message", "ready state", "is malformed");
  return message.bytes[0] == 1;
}

Status Client::SetReady(bool ready) {
  const uint8_t value = ready ? 1 : 0;
  ASSIGN_OR_RETURN(Message message, Call(Op::kSetReady, ByteView(&value, 1)));
  return Ok();
}

bool Client::Alive() const {
  pollfd check{fd_.get(), POLLRDHUP, 0};
  return ::poll(&check, 1, 0) == 0 || (check.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

}  // namespace ccgpu::socket
