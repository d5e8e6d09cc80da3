// A watch: list, then changes from that version on, line by line, for as long as the server likes; then again.
#include <algorithm>

#include "kube/client_impl.h"

namespace ccgpu::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestPause{200}, kLongestPause{10000};
constexpr size_t kMostLine = 16 << 20;  // etcd takes objects of 1.5 MiB
constexpr size_t kMostErrorBody = 64 << 10;

// What one connection of a watch came to.
struct Ending {
  bool any = false;      // it delivered something
  bool expired = false;  // 410: the version is too old, list again
  std::optional<Failure> failure;
};

class Lines {
 public:
  Lines(const WatchHandler& handler, const std::string& path, std::string& version)
      : handler_(handler), path_(path), version_(version) {}

  // False: the watch is over; ending() says why.
  bool Take(const char* data, size_t size) {
    buffer_.append(data, size);
    size_t begin = 0;
    for (size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end > begin && !Line(buffer_.substr(begin, end - begin))) return false;
    }
    buffer_.erase(0, begin);
    if (buffer_.size() <= kMostLine) return true;
    return Fail(Err("kube.bad-answer", path_, "a change is larger than 16 MiB"));
  }
  Ending& ending() { return ending_; }

 private:
  bool Fail(Error error) {
    ending_.failure = Failure{std::move(error), true, {}};
    return false;
  }

  bool Line(const std::string& line) {
    auto event = ParseJson(line, path_, 128);
    if (!event.ok() || !event->is_object() || !event->contains("object") || !(*event)["object"].is_object() ||
        !event->contains("type") || !(*event)["type"].is_string())
      return Fail(Err("kube.bad-answer", path_, "a line of the watch is no event"));
    const std::string type = (*event)["type"];
    const Json& object = (*event)["object"];
    if (type == "ERROR") {
      ending_.failure = FailureOf(object, path_);
      ending_.expired = ending_.failure->error.code == "kube.gone";
      return false;
    }
    const Json metadata = object.value("metadata", Json::object());
    if (!metadata.is_object() || !metadata.contains("resourceVersion") || !metadata["resourceVersion"].is_string())
      return Fail(Err("kube.bad-answer", path_, "an event's object has no resourceVersion"));
    if (type == "ADDED" || type == "MODIFIED" || type == "DELETED") {
      handler_.on_event(type, object);
    } else if (type != "BOOKMARK") {
      return Fail(Err("kube.bad-answer", path_, "\"" + type + "\" is no type of event that we know"));
    }
    version_ = metadata["resourceVersion"];
    ending_.any = true;
    return true;
  }

  const WatchHandler& handler_;
  const std::string& path_;
  std::string& version_;
  std::string buffer_;
  Ending ending_;
};

Ending WatchOnce(Client::Impl& impl, const std::string& path, const CallOptions& call, const WatchHandler& handler,
                 std::string& version) {
  Lines lines(handler, path, version);
  auto headers = impl.Headers();
  if (!headers.ok()) return {false, false, Failure{headers.error(), true, {}}};
  auto connection = impl.NewConnection(impl.options.watch_timeout + std::chrono::seconds(30));
  httplib::Request request;
  request.method = "GET";
  request.path = path + "?" + call.query + (call.query.empty() ? "" : "&") +
                 "watch=1&allowWatchBookmarks=true&resourceVersion=" + version +
                 "&timeoutSeconds=" + std::to_string(impl.options.watch_timeout.count());
  request.headers = *headers;
  request.headers.emplace("Accept-Encoding", "identity");
  int status = 0;
  std::string error_body, retry_after;
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    retry_after = response.get_header_value("Retry-After");
    return !impl.stopped;
  };
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (impl.stopped) return false;
    if (status == 200) return lines.Take(data, size);
    error_body.append(data, size);
    return error_body.size() < kMostErrorBody;
  };
  httplib::Result result = [&] {
    Client::Impl::Active active(impl, *connection);
    return connection->send(request);
  }();
  Ending& ending = lines.ending();
  if (ending.failure) return ending;
  if (status != 0 && status != 200) {
    ending.failure = FailureOf(status, error_body, retry_after, path);
    ending.expired = status == 410;
  } else if (!result) {
    ending.failure = impl.NoAnswer(result.error(), path);
  }
  return ending;
}

}  // namespace

void Client::Watch(const std::string& path, const CallOptions& call, const WatchHandler& handler) {
  milliseconds pause = kShortestPause;
  auto trouble = [&](const Failure& failure) {
    if (impl_->stopped) return;
    impl_->Count(failure.error);
    if (handler.on_trouble) handler.on_trouble(failure.error);
    (void)impl_->timer->Wait(std::max(pause, failure.retry_after));
    pause = std::min(pause * 2, kLongestPause);
  };
  CallOptions list_call = call;
  list_call.retry_for = milliseconds(0);
  while (!impl_->stopped) {
    std::string version;
    auto items = impl_->ListAll(path, list_call, version);
    if (!items.ok()) {
      trouble(Failure{items.error(), true, {}});
      continue;
    }
    handler.on_list(*items);
    for (bool listed = true; listed && !impl_->stopped;) {
      const auto begun = impl_->timer->Now();
      const Ending ending = WatchOnce(*impl_, path, call, handler, version);
      if (ending.any) pause = kShortestPause;
      if (ending.expired) {
        listed = false;
        if (!ending.any) (void)impl_->timer->Wait(kShortestPause);
      } else if (ending.failure) {
        trouble(*ending.failure);
      } else if (!ending.any && impl_->timer->Now() - begun < std::chrono::seconds(1)) {
        // A server that ends each watch at once must not keep us busy.
        (void)impl_->timer->Wait(pause);
        pause = std::min(pause * 2, kLongestPause);
      }
    }
  }
}

}  // namespace ccgpu::kube
