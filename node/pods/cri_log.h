// Container logs as a CRI runtime writes them: "<RFC 3339 time> <stdout|stderr> <P|F> <text>", one file per attempt.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/pods/line_file.h"

namespace ccgpu::node {

struct LogText {
  std::string container, stream, text;  // text without the newline that ended it
};

struct CriLogLine {
  std::string_view time, stream, text;
  bool partial = false;
};
std::optional<CriLogLine> ParseCriLogLine(std::string_view line);

// All logs of a pod, attempt after attempt. One thread.
class PodLogReader {
 public:
  // Files are <dir>/<container>/<attempt>.log.
  PodLogReader(std::string dir, std::vector<std::string> containers);
  // Everything that is new, in the order of each container. True when there was anything.
  bool Read(const std::function<void(const LogText&)>& on_text);
  // What stands in the files without a newline at its end, when no more will come.
  void Flush(const std::function<void(const LogText&)>& on_text);

 private:
  struct Source {
    std::string container;
    int attempt = 0;
    LineFile file;
    std::string partial_out, partial_err;
  };
  std::string Path(const std::string& container, int attempt) const;
  std::string dir_;
  std::vector<Source> sources_;
};

std::string ContainerLogPath(const std::string& container, uint32_t attempt);  // relative to the pod's log folder

}  // namespace ccgpu::node
