#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <thread>

#include "base/testing/temp_dir.h"
#include "base/ttrpc/client.h"
#include "base/ttrpc/connection.h"
#include "base/ttrpc/frame.h"
#include "base/ttrpc/server.h"
#include "base/ttrpc/socket.h"

namespace ccgpu::ttrpc {
namespace {

using namespace std::chrono_literals;

std::pair<Fd, Fd> Pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

Reply Echo(std::string_view payload, const CallContext&) { return Reply::Ok(std::string(payload)); }

TEST(Frame, ComesInAnyPieces) {
  std::string bytes = EncodeFrame(7, FrameType::kRequest, 0, "hello") + EncodeFrame(9, FrameType::kResponse, 1, "");
  EXPECT_EQ(bytes.substr(0, 10), std::string("\0\0\0\5\0\0\0\7\1\0", 10));
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameParser parser;
    std::vector<Frame> frames;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      std::string_view input = std::string_view(bytes).substr(at, piece);
      Frame frame;
      while (parser.Next(input, frame)) frames.push_back(frame);
    }
    ASSERT_EQ(frames.size(), 2u) << piece;
    EXPECT_EQ(frames[0].data, "hello");
    EXPECT_EQ(frames[0].stream, 7u);
    EXPECT_EQ(frames[1].type, 2);
    EXPECT_EQ(frames[1].flags, 1);
  }
}

TEST(Ttrpc, CallsOverAUnixSocketOfMode0600) {
  TempDir dir;
  std::string path = dir / "s";
  Server server;
  server.Register("test.Echo", "Echo", Echo);
  ASSERT_TRUE(server.ServeUnix(path).ok());
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto client = Client::ConnectUnix(path);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->CallRaw("test.Echo", "Echo", "hi", 5s).payload, "hi");
  Reply unknown = client->CallRaw("test.Other", "Echo", "", 5s);
  EXPECT_EQ(unknown.code, Code::kUnimplemented);
  EXPECT_EQ(unknown.message, "service test.Other");
  EXPECT_EQ(client->CallRaw("test.Echo", "Other", "", 5s).message, "method Other");
  server.Stop();
  EXPECT_EQ(client->CallRaw("test.Echo", "Echo", "hi", 5s).code, Code::kUnavailable);
  EXPECT_NE(::stat(path.c_str(), &info), 0) << "the socket file stays behind";
}

TEST(Ttrpc, ALiveSocketIsNotTakenAndADeadOneIsReplaced) {
  TempDir dir;
  std::string path = dir / "s";
  Server first;
  ASSERT_TRUE(first.ServeUnix(path).ok());
  Server second;
  EXPECT_EQ(second.ServeUnix(path).error().code, "ttrpc.in-use");
  first.Stop();
  {
    auto dead = ListenUnix(path);
    ASSERT_TRUE(dead.ok());
  }  // closed, its file stays: as after kill -9
  EXPECT_TRUE(second.ServeUnix(path).ok());
}

// An upgrade: the new instance gets new callers, the old one's connection stays and its end takes nothing away.
TEST(Ttrpc, ALiveSocketIsTakenOverAndStaysWithItsNewOwner) {
  TempDir dir;
  const std::string path = dir / "s";
  Server first, second;
  ASSERT_TRUE(first.ServeUnix(path).ok());
  ASSERT_TRUE(ConnectUnix(path, std::chrono::seconds(1)).ok());
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  ASSERT_TRUE(second.ServeUnixTakingOver(path).ok());
  ASSERT_EQ(::stat(path.c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino);
  EXPECT_EQ(after.st_mode & 0777, 0600u);
  first.Stop();
  EXPECT_TRUE(ConnectUnix(path, std::chrono::seconds(1)).ok()) << "the old owner removed the new one's socket";
  second.Stop();
  EXPECT_NE(::stat(path.c_str(), &after), 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Ttrpc, AnErrorArrivesInItsParts) {
  auto [a, b] = Pair();
  Server server;
  server.On<wire::KeyValue, wire::KeyValue>("t.S", "Fail",
                                            [](const wire::KeyValue& r, const CallContext&) -> Result<wire::KeyValue> {
                                              return Error::FromWire("test.reason", "a:1:2: b", "got " + r.value());
                                            });
  ASSERT_TRUE(server.ServeFd(std::move(a)).ok());
  Client client = Client::FromFd(std::move(b));
  wire::KeyValue request;
  request.set_value("x");
  auto result = client.Call<wire::KeyValue>("t.S", "Fail", request, 5s);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, "test.reason");
  EXPECT_EQ(result.error().subject, "a:1:2: b");
  EXPECT_EQ(result.error().text, "got x");
  EXPECT_EQ(client.CallRaw("t.S", "Fail", "\xff", 5s).code, Code::kInternal);
}

TEST(Ttrpc, ManyCallsAtOnceEachGetTheirOwnAnswer) {
  auto [a, b] = Pair();
  Server server;
  server.Register("t.S", "Echo", Echo);
  ASSERT_TRUE(server.ServeFd(std::move(a)).ok());
  Client client = Client::FromFd(std::move(b));
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        std::string text(static_cast<size_t>(i * 37 % 5000), static_cast<char>('a' + t));
        if (client.CallRaw("t.S", "Echo", text, 20s).payload == text) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 1600);
}

TEST(Ttrpc, ManyWaitsHoldNoThreads) {
  auto [a, b] = Pair();
  Server server({.max_workers = 1});
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Completion> parked;
  server.RegisterAsync("t.S", "Wait", [&](std::string_view, const CallContext&, Completion done) {
    std::lock_guard lock(mutex);
    parked.push_back(std::move(done));
    changed.notify_all();
  });
  server.Register("t.S", "Echo", Echo);
  ASSERT_TRUE(server.ServeFd(std::move(a)).ok());
  Client client = Client::FromFd(std::move(b));
  std::vector<std::thread> waiters;
  std::atomic<int> woken = 0;
  for (int i = 0; i < 50; ++i)
    waiters.emplace_back([&] { woken += client.CallRaw("t.S", "Wait", "", 30s).payload == "done"; });
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return parked.size() == 50; }));
  }
  EXPECT_EQ(client.CallRaw("t.S", "Echo", "still there", 5s).payload, "still there");
  for (auto& each : parked) each.Finish(Reply::Ok("done"));
  for (auto& waiter : waiters) waiter.join();
  EXPECT_EQ(woken, 50);
}

TEST(Ttrpc, AForgottenAnswerAndATimeout) {
  auto [a, b] = Pair();
  Server server;
  std::vector<Completion> kept;
  server.RegisterAsync("t.S", "Forget", [](std::string_view, const CallContext&, Completion) {});
  server.RegisterAsync("t.S", "Keep", [&](std::string_view, const CallContext&, Completion c) { kept.push_back(c); });
  ASSERT_TRUE(server.ServeFd(std::move(a)).ok());
  Client client = Client::FromFd(std::move(b));
  EXPECT_EQ(client.CallRaw("t.S", "Forget", "", 5s).code, Code::kInternal);
  EXPECT_EQ(client.CallRaw("t.S", "Keep", "", 20ms).code, Code::kDeadlineExceeded);
  EXPECT_EQ(client.CallRaw("t.S", "Forget", "", 5s).code, Code::kInternal) << "the connection is still good";
}

std::string RawAnswer(int fd) {
  FrameParser parser;
  char buffer[4096];
  Frame frame;
  for (;;) {
    ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count <= 0) return "closed";
    std::string_view input(buffer, static_cast<size_t>(count));
    if (parser.Next(input, frame)) break;
  }
  wire::Response response;
  EXPECT_TRUE(response.ParseFromString(frame.data));
  return std::to_string(response.status().code()) + " " + response.status().message();
}

TEST(Ttrpc, HostileFramesAreRefusedAndTheConnectionLives) {
  auto [a, b] = Pair();
  Server server;
  server.Register("t.S", "Echo", Echo);
  ASSERT_TRUE(server.ServeFd(std::move(a)).ok());
  wire::Request request;
  request.set_service("t.S");
  request.set_method("Echo");
  std::string good = request.SerializeAsString();
  auto send = [&, fd = b.get()](const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      ASSERT_GT(n, 0);
      sent += static_cast<size_t>(n);
    }
  };
  send(EncodeFrame(2, FrameType::kRequest, 0, good));
  EXPECT_THAT(RawAnswer(b.get()), testing::StartsWith("3 StreamID must be odd"));
  send(EncodeFrame(5, FrameType::kRequest, 0, good));
  EXPECT_EQ(RawAnswer(b.get()), "0 ");
  send(EncodeFrame(5, FrameType::kRequest, 0, good));
  EXPECT_THAT(RawAnswer(b.get()), testing::StartsWith("3 StreamID cannot be re-used"));
  send(EncodeFrame(7, FrameType::kRequest, 0, "\xff\xff"));
  EXPECT_THAT(RawAnswer(b.get()), testing::StartsWith("13 "));
  send(EncodeFrame(9, FrameType::kRequest, 2, good));
  EXPECT_THAT(RawAnswer(b.get()), testing::StartsWith("12 "));
  send(EncodeFrame(11, FrameType::kData, 0, good));  // ignored
  std::string big = EncodeFrame(13, FrameType::kRequest, 0, std::string(kMaxData, 'x'));
  big[0] = 0, big[1] = 0x40, big[2] = 0, big[3] = 1;  // one more than allowed
  big.push_back('x');
  send(big);
  EXPECT_THAT(RawAnswer(b.get()),
              testing::HasSubstr("8 message length 4194305 exceed maximum message size of 4194304"));
  send(EncodeFrame(15, FrameType::kRequest, 0, good));
  EXPECT_EQ(RawAnswer(b.get()), "0 ");
}

TEST(Loop, TimersAndPostsRunInOrderAndRemovedFdsStaySilent) {
  Loop loop;
  std::string order;
  loop.After(20ms, [&] {
    order += "c";
    loop.Stop();
  });
  loop.After(1ms, [&] { order += "b"; });
  auto cancelled = loop.After(2ms, [&] { order += "x"; });
  loop.Cancel(cancelled);
  loop.Post([&] { order += "a"; });
  loop.Run();
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace ccgpu::ttrpc
