// Our client; its servers are gRPC's own, ours, and peers that do not keep to the protocol.
#include "base/rpc/client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/rpc/message.h"
#include "base/rpc/test_echo.grpc.pb.h"
#include "base/rpc/test_echo_server.h"
#include "base/rpc/test_raw_peer.h"
#include "base/ttrpc/socket.h"

namespace ccgpu::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr milliseconds kLong{10000};
constexpr char kSay[] = "/ccgpu.rpc.test.Echo/Say", kFail[] = "/ccgpu.rpc.test.Echo/Fail",
               kCount[] = "/ccgpu.rpc.test.Echo/Count", kHang[] = "/ccgpu.rpc.test.Echo/Hang";

class GrpcEcho final : public test::Echo::Service {
 public:
  explicit GrpcEcho(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(16 << 20);
    server_ = builder.BuildAndStart();
  }
  ~GrpcEcho() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Say(grpc::ServerContext*, const test::Words* request, test::Words* response) override {
    *response = *request;
    return grpc::Status::OK;
  }
  grpc::Status Fail(grpc::ServerContext*, const test::Failure* request, test::Words*) override {
    return {static_cast<grpc::StatusCode>(request->code()), request->message()};
  }
  grpc::Status Count(grpc::ServerContext* context, const test::Number* request,
                     grpc::ServerWriter<test::Words>* writer) override {
    for (int i = 0; i < request->count() && !context->IsCancelled(); ++i) {
      test::Words words;
      words.set_text(Numbered(i) + std::string(static_cast<size_t>(request->size()), 'x'));
      if (!writer->Write(words)) break;
      written++;
    }
    return grpc::Status::OK;
  }
  grpc::Status Hang(grpc::ServerContext* context, const test::Words*, test::Words*) override {
    had_deadline = context->deadline() < std::chrono::system_clock::now() + std::chrono::hours(1);
    hanging++;
    Eventually([&] { return context->IsCancelled(); });
    hanging--;
    return grpc::Status::CANCELLED;
  }

  std::atomic<int> written = 0, hanging = 0;
  std::atomic<bool> had_deadline = false;

 private:
  std::unique_ptr<grpc::Server> server_;
};

Outcome Say(Client& client, const std::string& text, std::string* answer = nullptr) {
  test::Words request, response;
  request.set_text(text);
  Outcome outcome = client.Call(kSay, request, &response, kLong);
  if (answer != nullptr) *answer = response.text();
  return outcome;
}

class ClientTest : public EchoTest {
 protected:
  Client client_{socket_};
  std::unique_ptr<GrpcEcho> grpc_ = std::make_unique<GrpcEcho>(socket_);
};

TEST_F(ClientTest, EachStatusArrivesWithItsText) {
  for (int code = 1; code <= 16; ++code) {
    test::Failure failure;
    failure.set_code(code);
    failure.set_message("number " + std::to_string(code) + ": 50% of \xe2\x82\xac\n");
    test::Words response;
    EXPECT_EQ(client_.Call(kFail, failure, &response, kLong), (Outcome{static_cast<Code>(code), failure.message()}));
  }
  EXPECT_EQ(client_.Call("/no.Such/Method", test::Words(), std::make_unique<test::Words>().get(), kLong).code,
            Code::kUnimplemented);
}

TEST_F(ClientTest, AThousandCallsOverOneConnection) {
  for (int i = 0; i < 1000; ++i) {
    std::string answer;
    ASSERT_TRUE(Say(client_, std::to_string(i), &answer).ok());
    ASSERT_EQ(answer, std::to_string(i));
  }
}

TEST_F(ClientTest, LargeMessagesBothWays) {
  const std::string text(4'000'000, 'x');
  std::string answer;
  ASSERT_TRUE(Say(client_, text, &answer).ok());
  EXPECT_EQ(answer, text);
  EXPECT_EQ(Say(client_, std::string(5 << 20, 'x')).code, Code::kResourceExhausted);
  Client more(socket_, 16 << 20);
  EXPECT_TRUE(Say(more, std::string(5 << 20, 'x')).ok());
  EXPECT_TRUE(Say(client_, "the connection lives on").ok());
}

TEST_F(ClientTest, ASlowReaderHoldsTheServerBack) {
  test::Number number;
  number.set_count(200);
  number.set_size(1 << 20);
  int next = 0;
  const Outcome outcome = client_.Stream<test::Words>(kCount, number, [&](const test::Words& words) {
    ASSERT_EQ(words.text().substr(0, 8), Numbered(next++));
    if (next != 1) return;
    int seen = -1;  // we read nothing here: the server stands still before long
    ASSERT_TRUE(
        Eventually([&] { return std::exchange(seen, grpc_->written.load()) == grpc_->written; }, milliseconds(200)));
    EXPECT_LT(grpc_->written, 50);
  });
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(next, 200);
}

TEST_F(ClientTest, ItsDeadlineEndsItAndIsTold) {
  test::Words response;
  const auto start = steady_clock::now();
  EXPECT_EQ(client_.Call(kHang, test::Words(), &response, milliseconds(100)).code, Code::kDeadlineExceeded);
  EXPECT_LT(steady_clock::now() - start, milliseconds(5000));
  EXPECT_TRUE(grpc_->had_deadline);
  EXPECT_TRUE(Eventually([&] { return grpc_->hanging == 0; }));
  EXPECT_TRUE(Say(client_, "x").ok());
}

TEST_F(ClientTest, CancelEndsWhatRunsAndWhatComes) {
  std::thread cancel([&] {
    EXPECT_TRUE(Eventually([&] { return grpc_->hanging == 1; }));
    client_.Cancel();
  });
  test::Words response;
  EXPECT_EQ(client_.Call(kHang, test::Words(), &response, {}).code, Code::kCancelled);
  cancel.join();
  EXPECT_TRUE(Eventually([&] { return grpc_->hanging == 0; }));
  EXPECT_EQ(Say(client_, "x").code, Code::kCancelled);
}

TEST_F(ClientTest, TheReaderMayEndTheStream) {
  test::Number number;
  number.set_count(1 << 30);
  int got = 0;
  const Outcome outcome =
      client_.StreamRaw(kCount, number.SerializeAsString(), [&](const std::string&) { return ++got < 3; }, {});
  EXPECT_EQ(outcome.code, Code::kCancelled);
  EXPECT_EQ(got, 3);
  EXPECT_TRUE(Say(client_, "x").ok());
}

TEST_F(ClientTest, ALostServerIsUnavailableAndAnotherOneIsFound) {
  test::Number number;
  number.set_count(1 << 30);
  std::thread end;
  const Outcome outcome = client_.Stream<test::Words>(kCount, number, [&](const test::Words&) {
    if (!end.joinable()) end = std::thread([&] { grpc_.reset(); });
  });
  end.join();
  EXPECT_FALSE(outcome.ok());
  EXPECT_EQ(Say(client_, "x").code, Code::kUnavailable);
  grpc_ = std::make_unique<GrpcEcho>(socket_);
  EXPECT_TRUE(Say(client_, "x").ok());
  grpc_.reset();  // between two calls
  grpc_ = std::make_unique<GrpcEcho>(socket_);
  EXPECT_TRUE(Say(client_, "x").ok());
}

// Our client and our server: all that a ThreadSanitizer can follow, since gRPC's library is not built with it.
class OursTest : public EchoTest {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.Serve(socket_).ok()); }
};

TEST_F(OursTest, ManyCallersAndStreams) {
  std::vector<std::thread> callers;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      Client client(socket_);
      for (int k = 0; k < 50; ++k) {
        std::string answer;
        const std::string text(static_cast<size_t>(i * 1000 + k), 'x');
        right += Say(client, text, &answer).ok() && answer == text;
      }
      test::Number number;
      number.set_count(200);
      number.set_size(5000);
      int next = 0;
      const bool ok = client.Stream<test::Words>(kCount, number, [&](const test::Words&) { next++; }).ok();
      right += ok && next == 200;
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, 8 * 51);
}

TEST_F(OursTest, DeadlinesCancelsAndStopAtOnce) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(std::make_unique<Client>(socket_));
  std::vector<std::thread> callers;
  std::atomic<int> ended = 0;
  for (size_t i = 0; i < clients.size(); ++i) {
    callers.emplace_back([&, i] {
      test::Words response;
      const Outcome outcome = clients[i]->Call(kHang, test::Words(), &response, milliseconds(i < 2 ? 50 : 20000));
      ended += outcome.code == (i < 2 ? Code::kDeadlineExceeded : i < 4 ? Code::kCancelled : Code::kUnavailable);
    });
  }
  EXPECT_TRUE(Eventually([&] { return ended == 2 && hanging_ == 4; }));
  clients[2]->Cancel();
  clients[3]->Cancel();
  EXPECT_TRUE(Eventually([&] { return ended == 4 && hanging_ == 2; }));
  server_.Stop(milliseconds(10));
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(ended, 6);
}

TEST_F(OursTest, NobodyListens) {
  server_.Stop();
  Client client(socket_);
  const Outcome outcome = Say(client, "x");
  EXPECT_EQ(outcome.code, Code::kUnavailable);
  EXPECT_THAT(outcome.message, HasSubstr(socket_));
}

// A server that answers the first call on its connection with these bytes, and closes or goes on.
class BadServerTest : public EchoTest {
 protected:
  Outcome Answer(const std::string& bytes, bool close = true) {
    const std::string socket = dir_ / "bad.sock";
    auto listener = ttrpc::ListenUnix(socket);
    EXPECT_TRUE(listener.ok());
    std::thread server([&] {
      RawPeer peer(*listener);
      if (!peer.Next(kData)) return;
      peer.Send(bytes);
      if (!close) peer.Closed();
    });
    Outcome outcome;
    {
      Client client(socket);
      outcome = Say(client, "x");
    }
    server.join();
    return outcome;
  }
  static std::string Whole() { return EncodeMessage(std::string("\x0a\x01y", 3)); }
  static std::string Good() {
    return Frame(kHeaders, kEndHeaders, 1, ResponseBlock()) + Frame(kData, 0, 1, Whole()) +
           Frame(kHeaders, kEndHeaders | kEndStream, 1, TrailersBlock(0));
  }
};

TEST_F(BadServerTest, TheGoodCase) {
  EXPECT_EQ(Answer(Good()), Outcome::Ok());
  EXPECT_EQ(Answer(Frame(kPing, 0, 0, "12345678") + Good(), false), Outcome::Ok());
  EXPECT_EQ(Answer(Frame(kGoAway, 0, 0, U32(1) + U32(0)) + Good()), Outcome::Ok()) << "a call that runs goes on";
}

TEST_F(BadServerTest, AnAnswerCutAnywhereIsNoSuccess) {
  const std::string good = Good();
  for (size_t size = 0; size < good.size(); ++size) {
    const Outcome outcome = Answer(good.substr(0, size));
    EXPECT_EQ(outcome.code, Code::kUnavailable) << size << " " << outcome.message;
  }
}

TEST_F(BadServerTest, AnAnswerThatIsNotOneMessage) {
  const std::string head = Frame(kHeaders, kEndHeaders, 1, ResponseBlock());
  const std::string tail = Frame(kHeaders, kEndHeaders | kEndStream, 1, TrailersBlock(0));
  const std::pair<const char*, std::string> bodies[] = {
      {"none", ""},
      {"two", Frame(kData, 0, 1, Whole() + Whole())},
      {"cut", Frame(kData, 0, 1, Whole().substr(0, 6))},
      {"compressed", Frame(kData, 0, 1, "\x01" + Whole().substr(1))},
      {"no protobuf", Frame(kData, 0, 1, EncodeMessage("\x0a\x7fx"))}};
  for (const auto& [name, body] : bodies) {
    const Outcome outcome = Answer(head + body + tail, false);
    EXPECT_EQ(outcome.code, Code::kInternal) << name << ": " << outcome.message;
  }
  const Outcome large = Answer(head + Frame(kData, 0, 1, std::string("\0\xff\xff\xff\xff", 5)), false);
  EXPECT_EQ(large.code, Code::kResourceExhausted);
}

TEST_F(BadServerTest, EndsWithoutAGrpcStatus) {
  const std::string head = Frame(kHeaders, kEndHeaders, 1, ResponseBlock()) + Frame(kData, 0, 1, Whole());
  EXPECT_EQ(Answer(head + Frame(kData, kEndStream, 1, "")).code, Code::kUnknown);
  EXPECT_EQ(Answer(head + Frame(kReset, 0, 1, U32(8))).code, Code::kCancelled);
  EXPECT_EQ(Answer(head + Frame(kReset, 0, 1, U32(0))).code, Code::kUnknown);
  EXPECT_EQ(Answer(Frame(kReset, 0, 1, U32(7))).code, Code::kUnavailable);
  EXPECT_EQ(Answer(Frame(kHeaders, kEndHeaders | kEndStream, 1, Block({{":status", "503"}}))).code, Code::kUnavailable);
  EXPECT_EQ(Answer(head + Frame(kHeaders, kEndHeaders | kEndStream, 1, Block({{"grpc-status", "nonsense"}}))).code,
            Code::kUnknown);
}

TEST_F(BadServerTest, GarbageIsAClosedConnection) {
  EXPECT_EQ(Answer(std::string(100, 'x'), false).code, Code::kUnavailable);
  EXPECT_EQ(Answer(Frame(kSettings, 0, 1, ""), false).code, Code::kUnavailable);  // SETTINGS on a stream
  EXPECT_EQ(Answer(Frame(kData, 0, 99, "x"), false).code, Code::kUnavailable);    // a stream that nobody opened
  EXPECT_EQ(Answer(Frame(kGoAway, 0, 0, U32(0) + U32(0)), false).code, Code::kUnavailable);  // our call is refused
}

}  // namespace
}  // namespace ccgpu::rpc
