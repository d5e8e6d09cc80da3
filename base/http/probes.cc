#include "base/http/probes.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/eventfd.h>

#include <cstring>
#include <thread>

#include "base/fd.h"
#include "base/metrics.h"

namespace ccgpu::http {
namespace {

constexpr int kIdleSeconds = 10;

template <auto F>
struct Free {
  template <class T>
  void operator()(T* value) const {
    F(value);
  }
};

void Answer(evhttp_request* request, int code, const char* type, const std::string& text) {
  const std::unique_ptr<evbuffer, Free<evbuffer_free>> body(evbuffer_new());
  evbuffer_add(body.get(), text.data(), text.size());
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
  evhttp_send_reply(request, code, code == 200 ? "OK" : code == 404 ? "Not Found" : "Service Unavailable", body.get());
}

}  // namespace

struct ProbePort::Impl {
  Probes probes;
  Fd end{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::unique_ptr<event_base, Free<event_base_free>> base{event_base_new()};
  std::unique_ptr<evhttp, Free<evhttp_free>> http{evhttp_new(base.get())};
  std::unique_ptr<event, Free<event_free>> end_event;
  std::thread thread;
  int port = 0;

  void Handle(evhttp_request* request) {
    const char* path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    const std::string_view asked = path == nullptr ? "" : path;
    auto tell = [request](const std::string& missing) {
      Answer(request, missing.empty() ? 200 : 503, "text/plain", missing.empty() ? "ok\n" : missing + "\n");
    };
    if (asked == "/metrics") Answer(request, 200, metrics::kContentType, probes.metrics());
    else if (asked == "/readyz") tell(probes.not_ready_because());
    else if (asked == "/healthz") tell(probes.not_alive_because ? probes.not_alive_because() : "");
    else Answer(request, 404, "text/plain", "there are /metrics, /healthz and /readyz\n");
  }
};

ProbePort::ProbePort(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProbePort::~ProbePort() {
  const uint64_t one = 1;
  if (::write(impl_->end.get(), &one, sizeof one) == sizeof one) impl_->thread.join();
}

int ProbePort::port() const { return impl_->port; }

Result<std::unique_ptr<ProbePort>> ProbePort::Serve(const std::string& address, Probes probes,
                                                    const ListenReasons& reasons) {
  ASSIGN_OR_RETURN(const Address wanted, ParseAddress(address, reasons));
  auto impl = std::make_unique<Impl>();
  impl->probes = std::move(probes);
  evhttp* http = impl->http.get();
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
  evhttp_set_max_headers_size(http, 16 << 10);
  evhttp_set_max_body_size(http, 1 << 10);
  evhttp_set_timeout(http, kIdleSeconds);
  evhttp_set_gencb(
      http, [](evhttp_request* request, void* self) { static_cast<Impl*>(self)->Handle(request); }, impl.get());
  evhttp_bound_socket* bound =
      evhttp_bind_socket_with_handle(http, wanted.host.c_str(), static_cast<uint16_t>(wanted.port));
  if (bound == nullptr) return CannotListen(address, reasons);
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<sockaddr*>(&name), &size);
  // The port stands at the same place for IPv4 and IPv6.
  impl->port = ntohs(reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
  impl->end_event.reset(event_new(
      impl->base.get(), impl->end.get(), EV_READ,
      [](evutil_socket_t, short, void* base) { event_base_loopbreak(static_cast<event_base*>(base)); },
      impl->base.get()));
  event_add(impl->end_event.get(), nullptr);
  impl->thread = std::thread([base = impl->base.get()] { event_base_dispatch(base); });
  return std::unique_ptr<ProbePort>(new ProbePort(std::move(impl)));
}

}  // namespace ccgpu::http
