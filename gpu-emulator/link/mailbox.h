// The DOE mailbox: whole DOE objects, one request and its response at a time.
#pragma once

#include <atomic>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/memory.h"

namespace ccgpu::link {

// Requester. Several processes may take turns; one object is for one thread at a time.
class MailboxClient {
 public:
  explicit MailboxClient(const LinkMemory& memory);
  // Errors: "link.timeout" (no answer, or another requester holds the mailbox), "link.too-large".
  Result<Bytes> Exchange(ByteView object, int timeout_ms);

 private:
  Mailbox* mailbox_;
  uint32_t token_;
};

// Device. Serve() answers until Stop(); one thread.
class MailboxServer {
 public:
  explicit MailboxServer(const LinkMemory& memory) : mailbox_(memory.mailbox()) {}
  // Waits for one request, at most `timeout_ms`. Nothing: "link.timeout".
  Result<Bytes> Receive(int timeout_ms);
  void Answer(ByteView object);  // at most kMailboxBytes; a longer one is dropped
  void Kick();                   // ends a Receive early; any thread

 private:
  Mailbox* mailbox_;
  uint32_t sequence_ = 0;
};

// What the emulated GPU answers besides SPDM's two DOE types, outside any session: GSP RPCs in mode off.
inline constexpr uint16_t kDoeVendor = 0x10DE;
inline constexpr uint8_t kDoeRpcType = 0x01;
Bytes EncodeRpcObject(ByteView rpc);  // header, u32 length, rpc, padding
bool IsRpcObject(ByteView object);    // by vendor and type
Result<Bytes> DecodeRpcObject(ByteView object);

}  // namespace ccgpu::link
