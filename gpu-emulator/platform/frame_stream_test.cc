#include "gpu-emulator/platform/frame_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace ccgpu::emulator {
namespace {

using platform::v1::Frame;

class FrameStreamTest : public ::testing::Test {
 protected:
  FrameStreamTest() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    here_ = std::make_unique<FrameStream>(Fd(ends[0]));
    there_ = Fd(ends[1]);
  }
  void SendRaw(ByteView bytes) {
    ASSERT_EQ(send(there_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static Bytes Encoded(const Frame& frame) {
    const std::string body = frame.SerializeAsString();
    return std::move(Writer().U32(body.size()).Text(body)).Finish();
  }
  std::unique_ptr<FrameStream> here_;
  Fd there_;
};

Frame ReportFrame() {
  Frame frame;
  frame.mutable_report()->set_report_data("abc");
  return frame;
}

TEST_F(FrameStreamTest, TakesFramesFromPieces) {
  Bytes bytes = Encoded(ReportFrame());
  Append(bytes, Encoded(ReportFrame()));
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    SendRaw(ByteView(bytes).subspan(i, 1));
    auto got = here_->TryReceive();
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->has_value(), i + 1 == bytes.size() / 2);
  }
  SendRaw(ByteView(bytes).last(1));
  EXPECT_TRUE(here_->TryReceive()->has_value());
}

TEST_F(FrameStreamTest, FdsGoWithTheFrameThatNamesThem) {
  FrameStream there{std::move(there_)};
  Frame tsm;
  tsm.mutable_tsm();
  Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int fds[] = {null.get()};
  ASSERT_TRUE(there.Send(ReportFrame()).ok());
  ASSERT_TRUE(there.Send(tsm, fds).ok());
  ASSERT_TRUE(there.Send(ReportFrame()).ok());
  auto first = here_->Receive(std::chrono::seconds(5));
  auto second = here_->Receive(std::chrono::seconds(5));
  auto third = here_->Receive(std::chrono::seconds(5));
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(first->fds.size(), 0u);
  ASSERT_EQ(second->fds.size(), 1u);
  EXPECT_EQ(fcntl(second->fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(third->fds.size(), 0u);
}

TEST_F(FrameStreamTest, RefusesWhatIsNotAFrame) {
  const std::vector<Bytes> kBad = {
      {0, 0, 0, 0},                    // empty
      {0xff, 0xff, 0xff, 0xff},        // 4 GiB
      {3, 0, 0, 0, 0xff, 0xff, 0xff},  // no protobuf
      {2, 0, 0, 0, 0xc0, 0x3e},        // a field that no Frame has, and no value
  };
  for (const Bytes& bad : kBad) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    FrameStream stream{Fd(ends[0])};
    Fd peer(ends[1]);
    ASSERT_EQ(write(peer.get(), bad.data(), bad.size()), static_cast<ssize_t>(bad.size()));
    auto got = stream.TryReceive();
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, "platform.bad-frame");
  }
}

TEST_F(FrameStreamTest, RefusesMissingAndStrayFds) {
  Frame tsm;
  tsm.mutable_tsm();
  SendRaw(Encoded(tsm));  // names one, brings none
  auto got = here_->TryReceive();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, "platform.bad-frame");

  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  FrameStream stream{Fd(ends[0])}, peer{Fd(ends[1])};
  const int fds[] = {0};
  ASSERT_TRUE(peer.Send(ReportFrame(), fds).ok());  // names none, brings one
  got = stream.TryReceive();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, "platform.bad-frame");
}

TEST_F(FrameStreamTest, SaysWhenThePeerIsGoneOrSilent) {
  auto silent = here_->Receive(std::chrono::milliseconds(10));
  ASSERT_FALSE(silent.ok());
  EXPECT_EQ(silent.error().code, "platform.timeout");
  there_.Close();
  auto closed = here_->Receive(std::chrono::seconds(5));
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().code, "platform.closed");
}

TEST_F(FrameStreamTest, APeerThatDoesNotReadCannotHoldUs) {
  Frame big;
  big.mutable_reported()->set_report(std::string(4u << 20, 'x'));
  auto sent = here_->Send(big, {}, std::chrono::milliseconds(50));
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, "platform.timeout");
}

}  // namespace
}  // namespace ccgpu::emulator
