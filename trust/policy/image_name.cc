#include "trust/policy/image_name.h"

namespace ccgpu::policy {
namespace {

bool IsDigest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
}

// Without tag and digest.
std::string_view Repository(std::string_view full) {
  full = full.substr(0, full.find('@'));
  const size_t colon = full.rfind(':');
  return colon != std::string_view::npos && full.find('/', colon) == std::string_view::npos ? full.substr(0, colon)
                                                                                            : full;
}

}  // namespace

std::string FullImageName(std::string_view name) {
  const size_t slash = name.find('/');
  const std::string_view first = slash == std::string_view::npos ? "" : name.substr(0, slash);
  const bool host = first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
  std::string out;
  if (!host) out = slash == std::string_view::npos ? "docker.io/library/" : "docker.io/";
  out += name;
  if (out.find('@') == std::string::npos && Repository(out).size() == out.size()) out += ":latest";
  return out;
}

bool MayNameImage(std::string_view found, std::string_view wanted) {
  if (found == wanted || IsDigest(found)) return true;
  const std::string one = FullImageName(found), other = FullImageName(wanted);
  if (one == other) return true;
  const size_t at = one.find('@');
  return at != std::string::npos && other.find('@') == std::string::npos && IsDigest(one.substr(at + 1)) &&
         Repository(one) == Repository(other);
}

}  // namespace ccgpu::policy
