// Errors are values: a function that can fail returns Result<T>, never throws across a library's edge.
//
// An Error carries a reason code out of a closed set (see docs/reason-codes/; codes are an API: scripts and alerts
// match them), the subject it is about, and a sentence for a person that says what was expected, what was found and
// what to do.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace ccgpu {

// A reason code: lower-case words joined by '-', grouped by dots, area first ("gpu.nonce-mismatch"). Only a literal
// makes one, so that the set is closed when the program is built; a test holds it against docs/reason-codes/.
class Reason {
 public:
  template <size_t N>
  consteval Reason(const char (&name)[N]) : name_(name, N - 1) {}  // NOLINT: implicit on purpose
  constexpr std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

struct Error {
  std::string code;     // a Reason's name
  std::string subject;  // what it is about: a file:line:column, a device, a container, a field; may be empty
  std::string text;     // what is wrong and what to do, without the subject

  // An error that another ccgpu program reported; its code is taken as it came.
  static Error FromWire(std::string code, std::string subject, std::string text) {
    return Error{std::move(code), std::move(subject), std::move(text)};
  }
  // "subject: text [code]", for people.
  std::string ToString() const;
  // The same error with `outer` put in front of its subject.
  Error In(std::string_view outer) const;
};

inline Error Err(Reason code, std::string subject, std::string text) {
  return Error{std::string(code.name()), std::move(subject), std::move(text)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // Precondition of the next three: ok(). A wrong call ends the program (std::bad_variant_access), it never goes on.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // Precondition: !ok().
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_.value(); }    // NOLINT(bugprone-unchecked-optional-access)
  Error&& error() && { return std::move(error_).value(); }  // NOLINT(bugprone-unchecked-optional-access): as above

 private:
  std::optional<Error> error_;
};
using Status = Result<void>;
inline Status Ok() { return Status(); }

}  // namespace ccgpu

// The only two macros of the project.
#define CCGPU_CONCAT_(a, b) a##b
#define CCGPU_CONCAT(a, b) CCGPU_CONCAT_(a, b)
#define RETURN_IF_ERROR(expr)                                                    \
  do {                                                                           \
    if (auto status_ = (expr); !status_.ok()) return std::move(status_).error(); \
  } while (0)
#define ASSIGN_OR_RETURN(decl, expr) ASSIGN_OR_RETURN_(decl, expr, CCGPU_CONCAT(result_, __COUNTER__))
#define ASSIGN_OR_RETURN_(decl, expr, tmp)      \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  decl = std::move(tmp).value()
