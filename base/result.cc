#include "base/result.h"

namespace ccgpu {

std::string Error::ToString() const {
  std::string out;
  if (!subject.empty()) out += subject + ": ";
  out += text;
  if (!code.empty()) out += " [" + code + "]";
  return out;
}

Error Error::In(std::string_view outer) const {
  Error error = *this;
  error.subject = subject.empty() ? std::string(outer) : std::string(outer) + ": " + subject;
  return error;
}

}  // namespace ccgpu
