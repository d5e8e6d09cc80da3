#include "node-manager/cluster/names.h"

namespace ccgpu::nodemanager {
namespace {

bool IsPlain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string LabelSafe(std::string_view text) {
  constexpr size_t kMost = 63;
  std::string out;
  for (char c : text) {
    const bool fits = IsPlain(c) || c == '.' || c == '_' || c == '-';
    if (fits) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  size_t begin = 0;
  while (begin < out.size() && !IsPlain(out[begin])) begin++;
  out = out.substr(begin, kMost);
  while (!out.empty() && !IsPlain(out.back())) out.pop_back();
  return out;
}

std::string CamelCase(std::string_view code) {
  std::string out;
  bool upper = true;
  for (char c : code) {
    if (!IsPlain(c)) {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
  }
  // A reason begins with a letter.
  return out.empty() || (out[0] >= '0' && out[0] <= '9') ? "Code" + out : out;
}

}  // namespace ccgpu::nodemanager
