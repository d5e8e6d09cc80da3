// What a peer says to a session of either side, through everything that reads its bytes.
#include <cstddef>
#include <cstdint>

#include "base/rpc/session.h"

namespace ccgpu::rpc {
namespace {

// Answers every request; reads every answer.
class Talker final : public SessionEvents {
 public:
  explicit Talker(Session::Side side) : side_(side), session_(side, {.message = 1 << 12, .streams = 10}, *this) {
    if (side_ == Session::Side::kClient) {
      if (auto stream = session_.Open(RequestHeaders("/a.B/C", std::chrono::milliseconds(5)))) session_.End(*stream);
    }
  }

  void Hear(std::string_view bytes) {
    while (!session_.Produce().empty()) {}
    const bool good = session_.Receive(bytes);
    for (size_t limit = 0; limit < 10000 && !session_.Produce().empty(); ++limit) {}
    if (good) (void)session_.alive();
  }

 private:
  void OnHeaders(int32_t stream, Headers headers) override {
    (void)ReadOutcome(headers);
    if (side_ == Session::Side::kClient) return;
    if (ReadRequest(headers).http_status == 200) session_.Respond(stream, ResponseHeaders());
    else session_.End(stream, Trailers({Code::kUnimplemented, "no"}));
  }
  void OnMessage(int32_t stream, std::string message) override { session_.Write(stream, message); }
  void OnBadMessage(int32_t stream, Outcome why) override { session_.End(stream, Trailers(why)); }
  void OnEnd(int32_t stream) override { session_.End(stream, Trailers(Outcome::Ok())); }
  void OnSent(int32_t) override {}
  void OnClosed(int32_t, uint32_t error_code) override { (void)FromReset(error_code); }

  const Session::Side side_;
  Session session_;
};

}  // namespace
}  // namespace ccgpu::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using ccgpu::rpc::Session;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ccgpu::rpc::Talker talker(data[0] & 1 ? Session::Side::kServer : Session::Side::kClient);
  if (data[0] & 1) talker.Hear("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  if (data[0] & 2)
    talker.Hear(std::string_view("\0\0\0\4\0\0\0\0\0", 9));  // SETTINGS, without which nothing else counts
  talker.Hear(bytes);
  return 0;
}
