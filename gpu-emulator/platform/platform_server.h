// The secure processor's socket, platform.sock (gpu-emulator/api/platform.proto).
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "gpu-emulator/platform/sandbox.h"

namespace ccgpu::emulator {

// A thread accepts, and each connection has one of its own for the sandbox's life.
class PlatformServer {
 public:
  // `parts` must outlive the server. A socket file that a killed predecessor left is replaced; one that answers is
  // "platform.socket-in-use". Mode 0600; only root or our own user may connect.
  static Result<std::unique_ptr<PlatformServer>> Listen(const std::string& socket_path, PlatformParts& parts);
  // Kills every guest, releases their GPUs, waits for all of it.
  ~PlatformServer();

 private:
  PlatformServer(PlatformParts& parts, std::string path, Fd listener, Fd stop)
      : parts_(parts), path_(std::move(path)), listener_(std::move(listener)), stop_(std::move(stop)) {}
  void AcceptLoop();
  void Serve(Fd connection);
  struct Worker {
    std::thread thread;
    std::atomic<bool> done{false};
  };
  PlatformParts& parts_;
  std::string path_;
  Fd listener_;
  Fd stop_;                    // an eventfd
  std::list<Worker> workers_;  // of the accepting thread; after it, of the destructor
  std::thread accepting_;
};

}  // namespace ccgpu::emulator
