// The Echo service on our server, with what a test can see of it; and how tests wait.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "base/rpc/server.h"
#include "base/testing/temp_dir.h"

namespace ccgpu::rpc {

// Whether it holds before ten seconds are over; looked at each `every`.
bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds every = std::chrono::milliseconds(5));
// "00000042"
std::string Numbered(int number);

// A folder of its own, and a server that knows Echo's methods and does not serve yet.
class EchoTest : public ::testing::Test {
 protected:
  EchoTest();
  ~EchoTest() override;

  const TempDir dir_;
  std::string socket_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> written_ = 0, ended_ = 0, hanging_ = 0;  // of Count; of Hang
  Server server_;
};

}  // namespace ccgpu::rpc
