#define PCRE2_CODE_UNIT_WIDTH 8
#include "format/pattern.h"

#include <pcre2.h>

#include "format/tokenizer.h"

namespace hf::format {
namespace {

// A step is one call of PCRE2's match(); a pre-tokenizer's match takes a few for each character of a word.
constexpr uint32_t kMaxSteps = 10'000'000;
constexpr uint32_t kMaxHeapKib = 16 * 1024;
constexpr size_t kJitStackBytes = 1 << 20;

template <auto free>
struct Free {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};
template <class T, auto free>
using Owned = std::unique_ptr<T, Free<free>>;

}  // namespace

struct Pattern::State {
  std::string text;
  Owned<pcre2_code, pcre2_code_free> code;
  bool jit = false;
};

Pattern::Pattern() : state_(std::make_unique<State>()) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;
const std::string& Pattern::text() const { return state_->text; }

Result<Pattern> Pattern::compile(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxPatternBytes)
    return fail(Code::invalid, "pattern: " + std::to_string(pattern.size()) + " bytes; expected 1 to " +
                                   std::to_string(kMaxPatternBytes));
  Owned<pcre2_compile_context, pcre2_compile_context_free> context(pcre2_compile_context_create(nullptr));
  if (!context) return fail(Code::exhausted, "pattern: no memory");
  pcre2_set_parens_nest_limit(context.get(), 32);
  int error = 0;
  PCRE2_SIZE at = 0;
  const uint32_t options =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE;
  Pattern out;
  out.state_->text = pattern;
  out.state_->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &at, context.get()));
  if (!out.state_->code) {
    PCRE2_UCHAR reason[128] = {};
    pcre2_get_error_message(error, reason, sizeof reason);
    return fail(Code::invalid, "pattern: " + std::string(reinterpret_cast<char*>(reason)) + " at byte " +
                                   std::to_string(at) + " of it");
  }
  // Without the right to map executable pages the interpreter does the same, slower.
  out.state_->jit = pcre2_jit_compile(out.state_->code.get(), PCRE2_JIT_COMPLETE) == 0;
  return out;
}

Result<std::vector<std::pair<size_t, size_t>>> Pattern::split(std::string_view text) const {
  Owned<pcre2_match_context, pcre2_match_context_free> context(pcre2_match_context_create(nullptr));
  Owned<pcre2_match_data, pcre2_match_data_free> match(pcre2_match_data_create(1, nullptr));
  if (!context || !match) return fail(Code::exhausted, "pattern: no memory");
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_heap_limit(context.get(), kMaxHeapKib);
  Owned<pcre2_jit_stack, pcre2_jit_stack_free> stack;
  if (state_->jit) {
    stack.reset(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr));
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  std::vector<std::pair<size_t, size_t>> pieces;
  size_t done = 0;  // pieces cover [0, done)
  size_t from = 0;
  while (from < text.size()) {
    const int found = pcre2_match(state_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                  PCRE2_NOTEMPTY, match.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      PCRE2_UCHAR reason[128] = {};
      pcre2_get_error_message(found, reason, sizeof reason);
      return fail(Code::exhausted, "pattern: " + std::string(reinterpret_cast<char*>(reason)) + " in a text of " +
                                       std::to_string(text.size()) + " bytes, after byte " + std::to_string(from));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.get());
    size_t begin = ends[0];
    const size_t end = ends[1];
    if (begin < done) begin = done;  // \K and look-behind can start a match before `from`
    if (end <= begin) return fail(Code::invalid, "pattern: a match ends before it begins");
    if (begin > done) pieces.emplace_back(done, begin);
    pieces.emplace_back(begin, end);
    done = from = end;
  }
  if (done < text.size()) pieces.emplace_back(done, text.size());
  return pieces;
}

}  // namespace hf::format
