// Our server; its callers are gRPC's own client, and peers that do not keep to the protocol.
#include "base/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/rpc/message.h"
#include "base/rpc/test_echo.grpc.pb.h"
#include "base/rpc/test_echo_server.h"
#include "base/rpc/test_raw_peer.h"

namespace ccgpu::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

class ServerTest : public EchoTest {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.Serve(socket_).ok()); }

  std::unique_ptr<test::Echo::Stub> Stub(grpc::ChannelArguments arguments = {}) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return test::Echo::NewStub(
        grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments));
  }
  static test::Words Text(std::string text) {
    test::Words words;
    words.set_text(std::move(text));
    return words;
  }
  grpc::Status Say(test::Echo::Stub& stub, const std::string& text, std::string* answer = nullptr) {
    grpc::ClientContext context;
    test::Words response;
    const auto status = stub.Say(&context, Text(text), &response);
    if (answer != nullptr) *answer = response.text();
    return status;
  }
  bool Works() {
    std::string answer;
    return Say(*Stub(), "still there", &answer).ok() && answer == "still there";
  }
  // A raw call: headers, one message, end.
  static std::string RawCall(uint32_t stream, const std::string& data) {
    return Frame(kHeaders, kEndHeaders, stream, RequestBlock("/ccgpu.rpc.test.Echo/Say")) +
           Frame(kData, kEndStream, stream, data);
  }
};

TEST_F(ServerTest, EachStatusArrivesWithItsText) {
  auto stub = Stub();
  for (int code = 1; code <= 16; ++code) {
    grpc::ClientContext context;
    test::Failure failure;
    failure.set_code(code);
    failure.set_message("number " + std::to_string(code) + ": 50% of \xe2\x82\xac\n");
    test::Words response;
    const auto status = stub->Fail(&context, failure, &response);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), failure.message());
  }
}

TEST_F(ServerTest, AThousandCallsOverOneConnection) {
  auto stub = Stub();
  for (int i = 0; i < 1000; ++i) {
    std::string answer;
    ASSERT_TRUE(Say(*stub, std::to_string(i), &answer).ok());
    ASSERT_EQ(answer, std::to_string(i));
  }
}

TEST_F(ServerTest, ManyCallsAtOnceOverTwoConnections) {
  const std::unique_ptr<test::Echo::Stub> stubs[] = {Stub(), Stub()};
  std::atomic<int> right = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 40; ++i) {
    callers.emplace_back([&, i] {
      for (int k = 0; k < 25; ++k) {
        const std::string text = std::to_string(i) + std::string(static_cast<size_t>(k) * 997, 'x');
        std::string answer;
        right += Say(*stubs[i % 2], text, &answer).ok() && answer == text;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, 1000);
}

TEST_F(ServerTest, LargeMessagesBothWays) {
  const std::string text(3'500'000, 'x');
  std::string answer;
  ASSERT_TRUE(Say(*Stub(), text, &answer).ok());
  EXPECT_EQ(answer, text);
}

TEST_F(ServerTest, AStreamKeepsItsOrder) {
  grpc::ClientContext context;
  test::Number number;
  number.set_count(5000);
  number.set_size(100);
  auto stub = Stub();
  auto reader = stub->Count(&context, number);
  test::Words words;
  int next = 0;
  while (reader->Read(&words)) ASSERT_EQ(words.text().substr(0, 8), Numbered(next++));
  EXPECT_EQ(next, 5000);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ServerTest, ASlowReaderHoldsTheHandlerBack) {
  grpc::ClientContext context;
  test::Number number;
  number.set_count(1000);
  number.set_size(1 << 20);
  auto stub = Stub();
  auto reader = stub->Count(&context, number);
  test::Words words;
  ASSERT_TRUE(reader->Read(&words));
  int seen = -1;  // nobody reads now: the writer stands still before long
  ASSERT_TRUE(Eventually([&] { return std::exchange(seen, written_.load()) == written_; }, milliseconds(200)));
  EXPECT_LT(written_, 50);
  int rest = 0;
  while (rest < 100 && reader->Read(&words)) rest++;
  EXPECT_EQ(rest, 100);
  EXPECT_GT(written_, 100);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return ended_ == 1; }));
  EXPECT_LT(written_, 1000);
}

TEST_F(ServerTest, AHandlerLearnsThatItsCallerGaveUp) {
  auto stub = Stub();
  grpc::ClientContext context;
  std::thread cancel([&] {
    EXPECT_TRUE(Eventually([&] { return hanging_ == 1; }));
    context.TryCancel();
  });
  test::Words response;
  EXPECT_EQ(stub->Hang(&context, Text(""), &response).error_code(), grpc::StatusCode::CANCELLED);
  cancel.join();
  EXPECT_TRUE(Eventually([&] { return hanging_ == 0; }));
}

TEST_F(ServerTest, TheCallersDeadlineEndsTheHandler) {
  auto stub = Stub();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(200));
  test::Words response;
  EXPECT_EQ(stub->Hang(&context, Text(""), &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return hanging_ == 0; }));
  EXPECT_TRUE(Works());
}

// The caller's own clock does not end this call: only ours can.
TEST_F(ServerTest, TheDeadlineIsOursToo) {
  RawPeer peer(socket_);
  auto headers = RequestBlock("/ccgpu.rpc.test.Echo/Hang") + Block({{"grpc-timeout", "50m"}});
  peer.Send(Frame(kHeaders, kEndHeaders, 1, headers) + Frame(kData, kEndStream, 1, EncodeMessage("")));
  EXPECT_THAT(peer.Trailers(), HasSubstr("grpc-status=4;"));
  EXPECT_TRUE(Eventually([&] { return hanging_ == 0; }));
}

TEST_F(ServerTest, ACallerThatVanishesIsNoticed) {
  RawPeer peer(socket_);
  peer.Send(Frame(kHeaders, kEndHeaders, 1, RequestBlock("/ccgpu.rpc.test.Echo/Hang")) +
            Frame(kData, kEndStream, 1, EncodeMessage("")));
  ASSERT_TRUE(Eventually([&] { return hanging_ == 1; }));
  peer.Close();
  EXPECT_TRUE(Eventually([&] { return hanging_ == 0; }));
  EXPECT_TRUE(Works());
}

TEST_F(ServerTest, WhatIsTooLargeIsRefusedBeforeItIsRead) {
  auto stub = Stub();
  const auto status = Say(*stub, std::string(5 << 20, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_TRUE(Say(*stub, "the connection lives on").ok());
}

TEST_F(ServerTest, CompressionIsRefused) {
  auto stub = Stub();
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  test::Words response;
  const auto status = stub->Say(&context, Text(std::string(1000, 'x')), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
}

TEST_F(ServerTest, UnknownMethodsAreNamed) {
  auto stub = Stub();
  grpc::ClientContext context;
  test::Words response;
  const auto status = stub->Unserved(&context, Text(""), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("/ccgpu.rpc.test.Echo/Unserved"));
}

// Old kubelets say the socket's path where HTTP wants a host.
TEST_F(ServerTest, TheAuthorityMayBeAPath) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "/var/lib/kubelet/device-plugins/ccgpu-1.sock");
  EXPECT_TRUE(Say(*Stub(arguments), "x").ok());
}

TEST_F(ServerTest, StopLetsRunningCallsEndAndCancelsTheRest) {
  auto stub = Stub();
  grpc::ClientContext context;
  test::Number number;
  number.set_count(1 << 30);
  auto reader = stub->Count(&context, number);
  test::Words words;
  ASSERT_TRUE(reader->Read(&words));
  stopping_ = true;  // Count ends by itself, OK; Hang does not
  grpc::ClientContext hang_context;
  test::Words response;
  grpc::Status hang;
  std::thread hanging([&] { hang = stub->Hang(&hang_context, Text(""), &response); });
  ASSERT_TRUE(Eventually([&] { return hanging_ == 1; }));
  server_.Stop(milliseconds(100));
  while (reader->Read(&words)) {}
  EXPECT_TRUE(reader->Finish().ok());
  hanging.join();
  EXPECT_FALSE(hang.ok());
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

// From here on: peers that do not keep to the protocol.

TEST_F(ServerTest, GarbageEndsItsConnectionOnly) {
  RawPeer garbage(socket_, false);
  garbage.Send(std::string(100, 'x'));
  EXPECT_TRUE(garbage.Closed());
  RawPeer http(socket_, false);
  http.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(http.Closed());
  RawPeer huge(socket_);
  huge.Send(std::string("\xff\xff\xff\0\0\0\0\0\1", 9));  // a frame of 16 MiB
  EXPECT_TRUE(huge.Next(kGoAway));
  EXPECT_TRUE(Works());
}

TEST_F(ServerTest, AMessageCutShortIsNotServed) {
  RawPeer peer(socket_);
  peer.Send(RawCall(1, EncodeMessage("\x0a\x01x").substr(0, 6)));
  EXPECT_THAT(peer.Trailers(), HasSubstr("middle of a message"));
  peer.Send(RawCall(3, EncodeMessage("\x0a\x01x")));  // the same, whole
  EXPECT_TRUE(peer.Next(kData));
}

TEST_F(ServerTest, OneMessageIsAskedFor) {
  RawPeer peer(socket_);
  peer.Send(RawCall(1, EncodeMessage("") + EncodeMessage("")));
  EXPECT_THAT(peer.Trailers(), HasSubstr("2 messages"));
  peer.Send(RawCall(3, ""));
  EXPECT_THAT(peer.Trailers(), HasSubstr("0 messages"));
}

TEST_F(ServerTest, WhatIsNoMessageIsRefused) {
  RawPeer peer(socket_);
  peer.Send(RawCall(1, EncodeMessage("\x0a\x7fx")));  // protobuf: 127 bytes follow, and do not
  EXPECT_THAT(peer.Trailers(), HasSubstr("grpc-status=13"));
}

TEST_F(ServerTest, WhatIsNoGrpcGetsAnHttpStatus) {
  RawPeer peer(socket_);
  peer.Send(Frame(kHeaders, kEndHeaders | kEndStream, 1, Block({{":method", "GET"}, {":path", "/"}})));
  const auto answer = peer.Next(kHeaders);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->payload, HasSubstr("405"));
}

TEST_F(ServerTest, EndlessHeadersResetTheirCall) {
  RawPeer peer(socket_);
  const std::string large = RequestBlock("/x") + Block({{"x", std::string(15000, 'x')}});
  peer.Send(Frame(kHeaders, kEndStream, 1, large) +
            Frame(kContinuation, kEndHeaders, 1, Block({{"y", std::string(15000, 'y')}})));
  const auto reset = peer.Next(kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->stream, 1u);
  EXPECT_TRUE(Works());
}

TEST_F(ServerTest, MoreCallsThanAllowedAreRefused) {
  std::string calls;
  for (uint32_t stream = 1; stream <= 201; stream += 2)  // 101
    calls += Frame(kHeaders, kEndHeaders, stream, RequestBlock("/ccgpu.rpc.test.Echo/Say"));
  RawPeer hasty(socket_);  // cannot know the limit yet
  hasty.Send(calls);
  const auto reset = hasty.Next(kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->stream, 201u);
  RawPeer rude(socket_);
  rude.Send(Frame(kSettings, kAck, 0, "") + calls);
  EXPECT_TRUE(rude.Next(kGoAway));
  EXPECT_TRUE(Works());
}

TEST_F(ServerTest, CallsAreResetAsFastAsTheyAreMade) {
  RawPeer peer(socket_);
  std::string calls;
  for (uint32_t stream = 1; stream < 2000; stream += 2) {
    calls += Frame(kHeaders, kEndHeaders, stream, RequestBlock("/ccgpu.rpc.test.Echo/Hang")) +
             Frame(kData, kEndStream, stream, EncodeMessage("")) + Frame(kReset, 0, stream, U32(8));
  }
  peer.Send(calls);
  peer.Send(Frame(kPing, 0, 0, "12345678"));
  EXPECT_TRUE(peer.Next(kPing));
  EXPECT_TRUE(Eventually([&] { return hanging_ == 0; }));
  EXPECT_TRUE(Works());
}

TEST_F(ServerTest, PingIsAnswered) {
  RawPeer peer(socket_);
  peer.Send(Frame(kPing, 0, 0, "12345678"));
  const auto pong = peer.Next(kPing);
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->flags, kAck);
  EXPECT_EQ(pong->payload, "12345678");
}

}  // namespace
}  // namespace ccgpu::rpc
