// libseccomp's filter with the kernel's answer for whatever no rule allows. Internal to os/.
#pragma once

#include <seccomp.h>

#include <cerrno>
#include <initializer_list>
#include <memory>

#include "os/process.h"

#ifdef __clang__  // libseccomp's SCMP_A0 and its kin are C99 compound literals
#pragma GCC diagnostic ignored "-Wc99-extensions"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif

namespace hf::os {

class Filter {
 public:
  explicit Filter(uint32_t refusal) : context_(seccomp_init(refusal)), told_(refusal == SCMP_ACT_NOTIFY) {}
  explicit operator bool() const { return context_ != nullptr && error_ == 0; }
  int error() const { return context_ ? -error_ : ENOMEM; }

  void add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions = {}) {
    if (!context_ || error_ != 0) return;
    error_ = seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(conditions.size()),
                                    conditions.begin());
  }
  bool load() {
    if (!*this) return false;
    // The kernel gives no listener beside TSYNC; whoever loads has seen to it that there is one thread only.
    if (!told_) error_ = seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    if (error_ == 0) error_ = seccomp_load(context_.get());
    return error_ == 0;
  }
  Fd listener() const { return Fd(seccomp_notify_fd(context_.get())); }

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  std::unique_ptr<void, Release> context_;
  bool told_;
  int error_ = 0;
};

}  // namespace hf::os
