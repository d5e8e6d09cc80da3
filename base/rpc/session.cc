#include "base/rpc/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>

namespace ccgpu::rpc {
namespace {

constexpr size_t kMaxHeaders = 16 << 10;  // of one block, names and values

std::vector<nghttp2_nv> Pointers(const Headers& headers) {
  std::vector<nghttp2_nv> out;
  for (const auto& [name, value] : headers) {
    auto bytes = [](const std::string& text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
    out.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});  // nghttp2 copies
  }
  return out;
}

}  // namespace

struct Session::Impl {
  struct Stream {
    explicit Stream(size_t max_message) : parser(max_message) {}
    MessageParser parser;
    bool deaf = false;  // after a bad message
    Headers headers;    // of the block that is being received
    size_t header_bytes = 0;
    std::string output;
    size_t sent = 0;
    bool ended = false;  // nothing is written any more
    Headers trailers;
  };

  Impl(Limits l, SessionEvents& e) : limits(l), events(e) {}

  const Limits limits;
  SessionEvents& events;
  nghttp2_session* session = nullptr;
  std::map<int32_t, Stream> streams;

  static Impl& Of(void* user_data) { return *static_cast<Impl*>(user_data); }
  Stream* FindStream(int32_t id) {
    const auto it = streams.find(id);
    return it == streams.end() ? nullptr : &it->second;
  }

  // nghttp2's callbacks.
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user_data);
  static int OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user_data);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnStreamClose(nghttp2_session*, int32_t id, uint32_t error_code, void* user_data);
  static ssize_t ReadOutput(nghttp2_session*, int32_t id, uint8_t* to, size_t size, uint32_t* flags,
                            nghttp2_data_source*, void* user_data);
};

int Session::Impl::OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  Impl& self = Of(user_data);
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
    self.streams.try_emplace(frame->hd.stream_id, self.limits.message);
  return 0;
}

int Session::Impl::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                            const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
  Stream* stream = Of(user_data).FindStream(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->header_bytes += name_size + value_size;
  if (stream->header_bytes > kMaxHeaders) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
  stream->headers.emplace_back(std::string(reinterpret_cast<const char*>(name), name_size),
                               std::string(reinterpret_cast<const char*>(value), value_size));
  return 0;
}

int Session::Impl::OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user_data) {
  Impl& self = Of(user_data);
  Stream* stream = self.FindStream(id);
  if (stream == nullptr || stream->deaf) return 0;
  std::vector<std::string> messages;
  const auto problem = stream->parser.Push({reinterpret_cast<const char*>(data), size}, messages);
  stream->deaf = problem != MessageParser::Problem::kNone;
  for (auto& message : messages) self.events.OnMessage(id, std::move(message));
  if (problem == MessageParser::Problem::kCompressed)
    self.events.OnBadMessage(id, {Code::kUnimplemented, "a compressed message, and no compression was agreed on"});
  if (problem == MessageParser::Problem::kTooLarge)
    self.events.OnBadMessage(
        id, {Code::kResourceExhausted, "a message is larger than " + std::to_string(self.limits.message) + " bytes"});
  return 0;
}

int Session::Impl::OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  Impl& self = Of(user_data);
  const int32_t id = frame->hd.stream_id;
  Stream* stream = self.FindStream(id);
  if (stream == nullptr || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS) {
    stream->header_bytes = 0;
    self.events.OnHeaders(id, std::exchange(stream->headers, {}));
  }
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || stream->deaf) return 0;
  if (stream->parser.complete()) {
    self.events.OnEnd(id);
  } else {
    stream->deaf = true;
    self.events.OnBadMessage(id, {Code::kInternal, "the peer ended in the middle of a message"});
  }
  return 0;
}

// A server that has said everything tells a client that still sends to stop.
int Session::Impl::OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void*) {
  const int32_t id = frame->hd.stream_id;
  if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
      nghttp2_session_check_server_session(session) && nghttp2_session_get_stream_remote_close(session, id) == 0)
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
  return 0;
}

int Session::Impl::OnStreamClose(nghttp2_session*, int32_t id, uint32_t error_code, void* user_data) {
  Impl& self = Of(user_data);
  if (self.streams.erase(id) > 0) self.events.OnClosed(id, error_code);
  return 0;
}

ssize_t Session::Impl::ReadOutput(nghttp2_session* session, int32_t id, uint8_t* to, size_t size, uint32_t* flags,
                                  nghttp2_data_source*, void* user_data) {
  Impl& self = Of(user_data);
  Stream* stream = self.FindStream(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const size_t count = std::min(size, stream->output.size() - stream->sent);
  std::memcpy(to, stream->output.data() + stream->sent, count);
  stream->sent += count;
  if (stream->sent < stream->output.size()) return static_cast<ssize_t>(count);
  if (!stream->output.empty()) {
    stream->output = {};
    stream->sent = 0;
    self.events.OnSent(id);
  }
  if (stream->ended && stream->output.empty()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream->trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto trailers = Pointers(stream->trailers);
      nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
    }
  } else if (count == 0) {
    return NGHTTP2_ERR_DEFERRED;
  }
  return static_cast<ssize_t>(count);
}

Session::Session(Side side, Limits limits, SessionEvents& events) : impl_(std::make_unique<Impl>(limits, events)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&options) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Impl::OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Impl::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Impl::OnData);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Impl::OnFrame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Impl::OnFrameSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Impl::OnStreamClose);
  // Old kubelets send the socket's path as :authority, which a strict reader of HTTP refuses. ReadRequest() looks at
  // every header that matters here.
  nghttp2_option_set_no_http_messaging(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);  // they are kept for priorities only
  const int made = side == Side::kServer
                       ? nghttp2_session_server_new2(&impl_->session, callbacks, impl_.get(), options)
                       : nghttp2_session_client_new2(&impl_->session, callbacks, impl_.get(), options);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaders},
                                             {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams},
                                             {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(impl_->session, NGHTTP2_FLAG_NONE, settings, side == Side::kServer ? 2 : 3);
}

Session::~Session() { nghttp2_session_del(impl_->session); }

bool Session::Receive(std::string_view bytes) {
  return nghttp2_session_mem_recv(impl_->session, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) >= 0;
}

std::string_view Session::Produce() {
  const uint8_t* data = nullptr;
  const ssize_t size = nghttp2_session_mem_send(impl_->session, &data);
  return size <= 0 ? std::string_view()
                   : std::string_view(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
}

bool Session::alive() const {
  return nghttp2_session_want_read(impl_->session) || nghttp2_session_want_write(impl_->session);
}

std::optional<int32_t> Session::Open(const Headers& headers) {
  if (!nghttp2_session_check_request_allowed(impl_->session)) return std::nullopt;
  const nghttp2_data_provider provider{{}, Impl::ReadOutput};
  const auto pointers = Pointers(headers);
  const int32_t id =
      nghttp2_submit_request(impl_->session, nullptr, pointers.data(), pointers.size(), &provider, nullptr);
  if (id < 0) return std::nullopt;
  impl_->streams.try_emplace(id, impl_->limits.message);
  return id;
}

void Session::Respond(int32_t stream, const Headers& headers) {
  if (impl_->FindStream(stream) == nullptr) return;
  const nghttp2_data_provider provider{{}, Impl::ReadOutput};
  const auto pointers = Pointers(headers);
  nghttp2_submit_response(impl_->session, stream, pointers.data(), pointers.size(), &provider);
}

void Session::Write(int32_t stream, std::string_view message) {
  Impl::Stream* to = impl_->FindStream(stream);
  if (to == nullptr || to->ended) return;
  to->output += EncodeMessage(message);
  nghttp2_session_resume_data(impl_->session, stream);
}

void Session::End(int32_t stream, Headers trailers) {
  Impl::Stream* to = impl_->FindStream(stream);
  if (to == nullptr || to->ended) return;
  to->ended = true;
  to->trailers = std::move(trailers);
  nghttp2_session_resume_data(impl_->session, stream);
}

void Session::Reset(int32_t stream, uint32_t error_code) {
  if (Impl::Stream* to = impl_->FindStream(stream)) to->deaf = to->ended = true;
  nghttp2_submit_rst_stream(impl_->session, NGHTTP2_FLAG_NONE, stream, error_code);
}

void Session::GoAway() {
  nghttp2_submit_goaway(impl_->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(impl_->session),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

}  // namespace ccgpu::rpc
