#include "base/rpc/test_echo_server.h"

#include <poll.h>

#include "base/rpc/test_echo.pb.h"

namespace ccgpu::rpc {

using std::chrono::milliseconds;

bool Eventually(const std::function<bool()>& condition, milliseconds every) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, static_cast<int>(every.count()));
  }
  return true;
}

std::string Numbered(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "%08d", number);
  return text;
}

EchoTest::EchoTest() {
  socket_ = dir_ / "echo.sock";
  const std::string service = "/ccgpu.rpc.test.Echo/";
  server_.Unary<test::Words, test::Words>(service + "Say",
                                          [](const test::Words& request, test::Words* response, const ServerCall&) {
                                            *response = request;
                                            return Outcome::Ok();
                                          });
  server_.Unary<test::Failure, test::Words>(service + "Fail",
                                            [](const test::Failure& request, test::Words*, const ServerCall&) {
                                              return Outcome{static_cast<Code>(request.code()), request.message()};
                                            });
  server_.Streaming<test::Number, test::Words>(
      service + "Count", [this](const test::Number& request, Writer<test::Words>& writer) {
        for (int i = 0; i < request.count() && !stopping_; ++i) {
          test::Words words;
          words.set_text(Numbered(i) + std::string(static_cast<size_t>(request.size()), 'x'));
          if (!writer.Write(words)) break;
          written_++;
        }
        ended_++;
        return Outcome::Ok();
      });
  server_.Unary<test::Words, test::Words>(service + "Hang",
                                          [this](const test::Words&, test::Words*, const ServerCall& call) {
                                            hanging_++;
                                            while (!call.cancelled()) ::poll(nullptr, 0, 1);
                                            hanging_--;
                                            return Outcome{Code::kCancelled, "as asked"};
                                          });
}

EchoTest::~EchoTest() {
  stopping_ = true;
  server_.Stop(milliseconds(0));
}

}  // namespace ccgpu::rpc
