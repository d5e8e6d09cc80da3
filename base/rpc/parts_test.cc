// The parts that see bytes of the peer, one by one.
#include <gtest/gtest.h>

#include "base/rpc/message.h"
#include "base/rpc/metadata.h"

namespace ccgpu::rpc {
namespace {

using std::chrono::milliseconds;
using Problem = MessageParser::Problem;

TEST(Message, ComesOutWholeHoweverItIsCut) {
  const std::vector<std::string> sent = {"", "x", std::string(300, 'y'), ""};
  std::string bytes;
  for (const auto& message : sent) bytes += EncodeMessage(message);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    MessageParser parser(300);
    std::vector<std::string> got;
    for (size_t at = 0; at < bytes.size(); at += step)
      ASSERT_EQ(parser.Push(std::string_view(bytes).substr(at, step), got), Problem::kNone);
    EXPECT_EQ(got, sent) << step;
    EXPECT_TRUE(parser.complete());
  }
}

TEST(Message, IsNotCompleteInTheMiddle) {
  const std::string bytes = EncodeMessage("abc");
  for (size_t size = 1; size < bytes.size(); ++size) {
    MessageParser parser(300);
    std::vector<std::string> got;
    EXPECT_EQ(parser.Push(bytes.substr(0, size), got), Problem::kNone);
    EXPECT_FALSE(parser.complete()) << size;
    EXPECT_TRUE(got.empty());
  }
}

TEST(Message, TooLargeIsKnownFromItsPrefix) {
  std::vector<std::string> got;
  EXPECT_EQ(MessageParser(3).Push(EncodeMessage("abc"), got), Problem::kNone);
  EXPECT_EQ(MessageParser(2).Push(EncodeMessage("abc").substr(0, 5), got), Problem::kTooLarge);
  EXPECT_EQ(MessageParser(2).Push(std::string("\0\xff\xff\xff\xff", 5), got), Problem::kTooLarge);
}

TEST(Message, CompressedIsRefused) {
  std::vector<std::string> got;
  EXPECT_EQ(MessageParser(9).Push(std::string("\1\0\0\0\1x", 6), got), Problem::kCompressed);
  EXPECT_TRUE(got.empty());
}

Headers Request(const std::string& timeout = "") {
  Headers headers = RequestHeaders("/a.B/C", {});
  if (!timeout.empty()) headers.emplace_back("grpc-timeout", timeout);
  return headers;
}

TEST(Metadata, ReadsTimeouts) {
  EXPECT_EQ(ReadRequest(Request()).timeout, std::nullopt);
  EXPECT_EQ(ReadRequest(RequestHeaders("/a.B/C", milliseconds(1500))).timeout, milliseconds(1500));
  const std::pair<const char*, milliseconds> good[] = {
      {"2H", std::chrono::hours(2)}, {"3M", std::chrono::minutes(3)},
      {"5S", milliseconds(5000)},    {"7m", milliseconds(7)},
      {"1u", milliseconds(1)},       {"99999999n", milliseconds(100)},
      {"0m", milliseconds(0)},       {"99999999H", std::chrono::hours(24)}};
  for (const auto& [text, time] : good) {
    EXPECT_EQ(ReadRequest(Request(text)).timeout, time) << text;
    EXPECT_EQ(ReadRequest(Request(text)).http_status, 200) << text;
  }
  for (const char* bad : {"m", "5", "5x", "-5m", "+5m", "5 m", "123456789m", "5mm"})
    EXPECT_EQ(ReadRequest(Request(bad)).http_status, 400) << bad;
}

TEST(Metadata, KnowsWhatIsNoGrpcRequest) {
  auto without = [](const char* name, const char* instead) {
    Headers headers;
    for (auto& header : Request())
      if (header.first != name) headers.push_back(header);
    if (instead != nullptr) headers.emplace_back(name, instead);
    return ReadRequest(headers).http_status;
  };
  EXPECT_EQ(without("none", nullptr), 200);
  EXPECT_EQ(without("content-type", "application/grpc+proto"), 200);
  EXPECT_EQ(without(":path", nullptr), 400);
  EXPECT_EQ(without(":method", nullptr), 400);
  EXPECT_EQ(without(":method", "GET"), 405);
  EXPECT_EQ(without("content-type", nullptr), 415);
  EXPECT_EQ(without("content-type", "application/json"), 415);
}

TEST(Metadata, TextsSurviveTheWay) {
  for (const std::string text : {"", "plain", "50% of \xe2\x82\xac\n\t\x01\x7f", "%41", "%"}) {
    const auto outcome = ReadOutcome(Trailers({Code::kAborted, text}));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->code, Code::kAborted);
    EXPECT_EQ(outcome->message, text);
  }
  EXPECT_EQ(ReadOutcome({{"grpc-status", "5"}, {"grpc-message", "100%, %zz %4"}})->message, "100%, %zz %4");
  for (const auto& [name, value] : Trailers({Code::kInternal, std::string(100000, '\xff')}))
    EXPECT_LE(value.size(), 8192u) << name;
}

TEST(Metadata, AnOddStatusIsNeverOk) {
  EXPECT_EQ(ReadOutcome({}), std::nullopt);
  EXPECT_EQ(ReadOutcome({{"grpc-status", "0"}})->code, Code::kOk);
  for (const char* odd : {"", "00x", "-1", "17", "99999999999", " 0", "0 "})
    EXPECT_EQ(ReadOutcome({{"grpc-status", odd}})->code, Code::kUnknown) << odd;
  for (const char* status : {"200", "404", "503", "x", ""}) EXPECT_FALSE(FromHttpStatus(status).ok());
  for (uint32_t code = 0; code < 20; ++code) EXPECT_FALSE(FromReset(code).ok());
}

}  // namespace
}  // namespace ccgpu::rpc
