// Result<T>: a value or an Error. What can fail returns it; what cannot happen is a check() (check.h).
// Exceptions of libraries are caught where the library is called (the two boundaries are http's pool and the worker's
// task loop, which turn what still escapes into Code::internal).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace hf {

// A short closed list of causes. Protocols map them to statuses; `Error::name` may carry an API's own error name.
enum class Code {
  invalid,      // the caller's input is wrong: says what was expected, found, and where
  denied,       // authentication or permission
  not_found,    //
  conflict,     // exists already, or is in the wrong state
  too_large,    // over a stated limit
  exhausted,    // a quota, a full queue, a full disk: may work later
  unavailable,  // a part of the site is down or stopping: may work later
  corrupt,      // stored bytes are not what was written
  internal,     // our own fault
};

struct Error {
  Code code = Code::internal;
  std::string name;           // API error name such as "NoSuchBucket"; empty: derived from code by the protocol
  std::string message;        // expected, found, where; never a secret
  int64_t retry_after_s = 0;  // of exhausted and unavailable: when it may work; 0: not known
};

// The name of an error of code exhausted whose reason is the disk: a server that is in need, and no client too many.
inline constexpr const char* kDiskFull = "InsufficientStorage";

inline Error fail(Code code, std::string message) { return Error{code, {}, std::move(message), 0}; }
inline Error fail(Code code, std::string name, std::string message) {
  return Error{code, std::move(name), std::move(message), 0};
}

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  // `return make_unique<Derived>()` where T is unique_ptr<Base>, a literal where T is std::string, ...
  template <class U>
  requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::decay_t<U>, T> &&
           !std::is_same_v<std::decay_t<U>, Error> && !std::is_same_v<std::decay_t<U>, Result>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return check_ok(), *std::get_if<0>(&state_); }
  const T& value() const& { return check_ok(), *std::get_if<0>(&state_); }
  T&& value() && { return check_ok(), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return check_failed(), *std::get_if<1>(&state_); }
  Error&& error() && { return check_failed(), std::move(*std::get_if<1>(&state_)); }
  T value_or(T other) && { return ok() ? std::move(*std::get_if<0>(&state_)) : std::move(other); }

 private:
  void check_ok() const {
    if (!ok()) check_fail("Result holds an error", std::get_if<1>(&state_)->message.c_str(), __FILE__, __LINE__);
  }
  void check_failed() const { check(!ok(), "error() of a Result that holds a value"); }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  void value() const {
    if (error_) check_fail("Result holds an error", error_->message.c_str(), __FILE__, __LINE__);
  }
  const Error& error() const& { return check(error_.has_value(), "error() of an ok Result"), *error_; }
  Error&& error() && { return check(error_.has_value(), "error() of an ok Result"), std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// auto x = TRY(f());  -- the value, or return the error from the enclosing function (which returns some Result).
// The counter keeps the names of nested TRYs apart (-Wshadow).
#define TRY(...) HF_TRY_NAMED(HF_TRY_JOIN(hf_try_, __COUNTER__), __VA_ARGS__)
#define HF_TRY_JOIN(a, b) HF_TRY_JOIN_(a, b)
#define HF_TRY_JOIN_(a, b) a##b
#define HF_TRY_NAMED(name, ...)       \
  (__extension__({                    \
    auto name = (__VA_ARGS__);        \
    if (!name.ok()) [[unlikely]]      \
      return std::move(name).error(); \
    std::move(name).value();          \
  }))

}  // namespace hf
