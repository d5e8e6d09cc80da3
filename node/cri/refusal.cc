#include "node/cri/refusal.h"

#include <array>

namespace ccgpu::node {
namespace {

bool IsCode(std::string_view text) {
  bool dot = false, word = false;
  for (char c : text) {
    if (c == '.') {
      if (!word) return false;
      dot = true;
      word = false;
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && word)) {
      word = true;
    } else {
      return false;
    }
  }
  return dot && word;
}

// What containerd 1.6 to 2.x and ttrpc put in front of a shim's words.
constexpr std::array<std::string_view, 7> kWrappers = {"failed to create containerd task: ",
                                                       "failed to create shim task: ",
                                                       "failed to start containerd task: ",
                                                       "failed to start sandbox container task: ",
                                                       "failed to start shim: ",
                                                       "failed to exec in container: ",
                                                       "rpc error: code = "};

std::string_view Unwrap(std::string_view text) {
  for (bool again = true; again;) {
    again = false;
    for (auto wrapper : kWrappers) {
      const size_t at = text.find(wrapper);
      if (at == std::string_view::npos) continue;
      text.remove_prefix(at + wrapper.size());
      again = true;
    }
    for (std::string_view wrapper :
         {"failed to create containerd container ", "failed to start sandbox container task \"",
          "failed to start containerd task \"", "failed to start exec \""}) {
      if (!text.starts_with(wrapper)) continue;
      const size_t end = text.find(": ", wrapper.size());
      if (end == std::string_view::npos) continue;
      text.remove_prefix(end + 2);
      again = true;
    }
    if (const size_t desc = text.find("desc = "); desc != std::string_view::npos && desc < 40) {
      text.remove_prefix(desc + 7);
      again = true;
    }
  }
  return text;
}

}  // namespace

std::optional<Error> FindReason(std::string_view message) {
  for (size_t close = message.rfind(']'); close != std::string_view::npos && close > 0;
       close = message.rfind(']', close - 1)) {
    const size_t open = message.rfind('[', close);
    if (open == std::string_view::npos) break;
    const std::string_view code = message.substr(open + 1, close - open - 1);
    if (!IsCode(code)) continue;
    std::string_view text = Unwrap(message.substr(0, open));
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    std::string subject;
    if (const size_t colon = text.find(": "); colon != std::string_view::npos) {
      subject = text.substr(0, colon);
      text.remove_prefix(colon + 2);
      // "file:line:column: path: text" has its subject in two pieces.
      const size_t next = text.find(": ");
      if (next != std::string_view::npos && subject.find(':') != std::string::npos &&
          text.substr(0, next).find(' ') == std::string_view::npos) {
        subject += ": " + std::string(text.substr(0, next));
        text.remove_prefix(next + 2);
      }
    }
    return Error::FromWire(std::string(code), std::move(subject), std::string(text));
  }
  return std::nullopt;
}

bool IsRefusal(std::string_view code) {
  if (code == "broker.refused") return true;
  // Areas that decide. Others (shim, platform, runc, cri, file, ...) report that something broke.
  for (std::string_view area :
       {"policy.", "gpu.",      "attest.",    "initdata.",    "kbs.",        "release.", "session.",
        "token.",  "evidence.", "composite.", "environment.", "collateral.", "spdm.",    "snp.",
        "tdx.",    "tpm.",      "azure.",     "rim.",         "ocsp.",       "crl.",     "chain."}) {
    if (code.starts_with(area)) return true;
  }
  return false;
}

}  // namespace ccgpu::node
