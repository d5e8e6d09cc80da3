#include "gpu-emulator/link/mailbox.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace ccgpu::link {
namespace {

using SteadyClock = std::chrono::steady_clock;

int LeftMs(SteadyClock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1000));
}

// A mailbox whose holder died is taken over after this long without an answer.
constexpr int kTakeOverMs = 3000;

uint32_t NewToken() {
  static std::atomic<uint32_t> next{1};
  const uint32_t token = (static_cast<uint32_t>(::getpid()) << 12) ^ next.fetch_add(1);
  return token == 0 ? 1 : token;
}

}  // namespace

MailboxClient::MailboxClient(const LinkMemory& memory) : mailbox_(memory.mailbox()), token_(NewToken()) {}

Result<Bytes> MailboxClient::Exchange(ByteView object, int timeout_ms) {
  if (object.size() > kMailboxBytes) return Err("link.too-large", "DOE object", "does not fit the mailbox");
  const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  const auto take_over = SteadyClock::now() + std::chrono::milliseconds(kTakeOverMs);
  while (!CompareSwap(mailbox_->owner, 0, token_)) {
    const uint32_t holder = Load(mailbox_->owner);
    if (SteadyClock::now() >= take_over && holder != 0 && CompareSwap(mailbox_->owner, holder, token_)) break;
    if (SteadyClock::now() >= deadline) return Err("link.timeout", "DOE mailbox", "another requester holds it");
    if (holder != 0) FutexWait(mailbox_->owner, holder, std::min(LeftMs(deadline), 100));
  }
  const uint32_t sequence = Load(mailbox_->sequence) + 1;
  if (!object.empty()) std::memcpy(mailbox_->request, object.data(), object.size());
  Store(mailbox_->request_length, static_cast<uint32_t>(object.size()));
  Store(mailbox_->sequence, sequence);
  Store(mailbox_->status, kMailboxRequest);
  FutexWake(mailbox_->status);

  Result<Bytes> answer =
      Err("link.timeout", "DOE mailbox", "the device did not answer in " + std::to_string(timeout_ms) + " ms");
  while (SteadyClock::now() < deadline) {
    const uint32_t status = Load(mailbox_->status);
    if (status == kMailboxResponse && Load(mailbox_->answered) == sequence) {
      const uint32_t length = Load(mailbox_->response_length);
      if (length <= kMailboxBytes) {
        Bytes copy(length);
        if (length > 0) std::memcpy(copy.data(), mailbox_->response, length);
        answer = std::move(copy);
      } else {
        answer = Err("link.too-large", "DOE response", "claims more bytes than the mailbox has");
      }
      break;
    }
    FutexWait(mailbox_->status, status, LeftMs(deadline));
  }
  Store(mailbox_->status, kMailboxIdle);
  if (CompareSwap(mailbox_->owner, token_, 0)) FutexWake(mailbox_->owner);
  return answer;
}

Result<Bytes> MailboxServer::Receive(int timeout_ms) {
  uint32_t status = Load(mailbox_->status);
  if (status != kMailboxRequest || Load(mailbox_->sequence) == sequence_) {
    FutexWait(mailbox_->status, status, timeout_ms);
    status = Load(mailbox_->status);
  }
  const uint32_t sequence = Load(mailbox_->sequence);
  if (status != kMailboxRequest || sequence == sequence_) return Err("link.timeout", "DOE mailbox", "no request");
  sequence_ = sequence;
  const uint32_t length = Load(mailbox_->request_length);
  if (length > kMailboxBytes) return Bytes();  // answered like any object that is too short
  Bytes copy(length);
  if (length > 0) std::memcpy(copy.data(), mailbox_->request, length);
  return copy;
}

void MailboxServer::Answer(ByteView object) {
  if (object.size() > kMailboxBytes) return;
  if (!object.empty()) std::memcpy(mailbox_->response, object.data(), object.size());
  Store(mailbox_->response_length, static_cast<uint32_t>(object.size()));
  Store(mailbox_->answered, sequence_);
  Store(mailbox_->status, kMailboxResponse);
  FutexWake(mailbox_->status);
}

void MailboxServer::Kick() { FutexWake(mailbox_->status); }

Bytes EncodeRpcObject(ByteView rpc) {
  const size_t padded = (8 + 4 + rpc.size() + 3) / 4 * 4;
  Writer out;
  out.U16(kDoeVendor).U8(kDoeRpcType).U8(0).U32(padded / 4).U32(rpc.size()).Raw(rpc).Zeros(padded - 12 - rpc.size());
  return std::move(out).Finish();
}

bool IsRpcObject(ByteView object) {
  Reader in(object);
  return in.U16() == kDoeVendor && in.U8() == kDoeRpcType && in.ok();
}

Result<Bytes> DecodeRpcObject(ByteView object) {
  Reader in(object);
  in.Skip(4);
  const uint32_t words = in.U32();
  const uint32_t length = in.U32();
  const ByteView rpc = in.Take(length);
  if (!in.ok() || words != object.size() / 4 || object.size() % 4 != 0 || in.remaining() > 3) {
    return Err("link.bad-object", "DOE object", "its lengths do not agree");
  }
  return ToBytes(rpc);
}

}  // namespace ccgpu::link
