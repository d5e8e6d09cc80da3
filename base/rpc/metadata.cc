#include "base/rpc/metadata.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>

namespace ccgpu::rpc {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMaxMessageText = 2048;
constexpr std::string_view kContentType = "application/grpc";

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
    } else {
      out += {'%', kHex[static_cast<uint8_t>(c) >> 4], kHex[c & 15]};
    }
  }
  return out;
}

// What is no escape stays as it is: a text for people is better garbled than lost.
std::string PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    const char* hex = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(hex, hex + 2, byte, 16).ptr == hex + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Up to eight digits and a unit.
std::optional<milliseconds> ReadTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t number = 0;
  const char* unit = text.data() + text.size() - 1;
  if (auto [end, error] = std::from_chars(text.data(), unit, number); end != unit || error != std::errc() || number < 0)
    return std::nullopt;
  std::chrono::nanoseconds time;
  switch (*unit) {
    case 'H': time = std::chrono::hours(std::min<int64_t>(number, 24)); break;
    case 'M': time = std::chrono::minutes(std::min<int64_t>(number, 24 * 60)); break;
    case 'S': time = std::chrono::seconds(std::min<int64_t>(number, 24 * 3600)); break;
    case 'm': time = milliseconds(number); break;
    case 'u': time = std::chrono::microseconds(number); break;
    case 'n': time = std::chrono::nanoseconds(number); break;
    default: return std::nullopt;
  }
  return std::min<milliseconds>(std::chrono::ceil<milliseconds>(time), std::chrono::hours(24));
}

}  // namespace

const std::string* Find(const Headers& headers, std::string_view name) {
  const auto it =
      std::find_if(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; });
  return it == headers.end() ? nullptr : &it->second;
}

Headers RequestHeaders(const std::string& path, milliseconds timeout) {
  Headers headers = {{":method", "POST"},         {":scheme", "http"}, {":path", path},
                     {":authority", "localhost"}, {"te", "trailers"},  {"content-type", std::string(kContentType)},
                     {"user-agent", "ccgpu-rpc"}};
  constexpr int64_t kMostMillis = 99'999'999;  // eight digits
  if (timeout.count() > 0)
    headers.emplace_back("grpc-timeout", std::to_string(std::min<int64_t>(timeout.count(), kMostMillis)) + "m");
  return headers;
}

Headers ResponseHeaders() { return {{":status", "200"}, {"content-type", std::string(kContentType)}}; }

Headers Trailers(const Outcome& outcome) {
  Headers trailers = {{"grpc-status", std::to_string(static_cast<int>(outcome.code))}};
  if (!outcome.message.empty())
    trailers.emplace_back("grpc-message", PercentEncode(std::string_view(outcome.message).substr(0, kMaxMessageText)));
  return trailers;
}

Asked ReadRequest(const Headers& request) {
  Asked asked;
  const std::string* method = Find(request, ":method");
  const std::string* path = Find(request, ":path");
  const std::string* type = Find(request, "content-type");
  if (path == nullptr || method == nullptr) asked.http_status = 400;
  else if (*method != "POST") asked.http_status = 405;
  else if (type == nullptr || !type->starts_with(kContentType)) asked.http_status = 415;
  if (path != nullptr) asked.path = *path;
  if (const std::string* timeout = Find(request, "grpc-timeout")) {
    asked.timeout = ReadTimeout(*timeout);
    if (!asked.timeout) asked.http_status = 400;
  }
  return asked;
}

std::optional<Outcome> ReadOutcome(const Headers& trailers) {
  const std::string* status = Find(trailers, "grpc-status");
  if (status == nullptr) return std::nullopt;
  const std::string* message = Find(trailers, "grpc-message");
  Outcome outcome{Code::kUnknown, message == nullptr ? "" : PercentDecode(*message)};
  int number = -1;
  const char* end = status->data() + status->size();
  if (auto parsed = std::from_chars(status->data(), end, number);
      parsed.ptr == end && number >= 0 && number <= static_cast<int>(Code::kUnauthenticated)) {
    outcome.code = static_cast<Code>(number);
  } else {
    outcome.message += " (the peer's grpc-status \"" + *status + "\" is none of gRPC's)";
  }
  return outcome;
}

Outcome FromHttpStatus(std::string_view status) {
  Code code = Code::kUnknown;
  if (status == "400") code = Code::kInternal;
  else if (status == "401") code = Code::kUnauthenticated;
  else if (status == "403") code = Code::kPermissionDenied;
  else if (status == "404") code = Code::kUnimplemented;
  else if (status == "429" || status == "502" || status == "503" || status == "504") code = Code::kUnavailable;
  return {code, "the peer ended the call without a grpc-status (HTTP status " + std::string(status) + ")"};
}

Outcome FromReset(uint32_t error_code) {
  Code code = Code::kInternal;
  if (error_code == NGHTTP2_REFUSED_STREAM) code = Code::kUnavailable;
  else if (error_code == NGHTTP2_CANCEL) code = Code::kCancelled;
  else if (error_code == NGHTTP2_ENHANCE_YOUR_CALM) code = Code::kResourceExhausted;
  else if (error_code == NGHTTP2_INADEQUATE_SECURITY) code = Code::kPermissionDenied;
  return {code, std::string("the peer reset the call (") + nghttp2_http2_strerror(error_code) + ")"};
}

}  // namespace ccgpu::rpc
