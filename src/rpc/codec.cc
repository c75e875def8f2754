#include "rpc/codec.h"

#include <bit>
#include <concepts>
#include <cstring>
#include <type_traits>

namespace hf::rpc {
namespace {

template <class M, class T>
concept Is = std::same_as<std::remove_const_t<M>, T>;

// One visitor a message: the order of members on the wire.
template <class A>
void fields(A& a, Is<LoadTask> auto& m) {
  a(m.digest, m.files, m.cache);
}
template <class A>
void fields(A& a, Is<UnloadTask> auto& m) {
  a(m.digest);
}
template <class A>
void fields(A& a, Is<ProbeTask> auto& m) {
  a(m.files, m.unix_socket, m.tcp_port);
}
template <class A>
void fields(A& a, Is<Text> auto& m) {
  a(m.piece);
}
template <class A>
void fields(A& a, Is<Failed> auto& m) {
  a(m.code, m.name, m.message);
}
template <class A>
void fields(A& a, Is<Counted> auto& m) {
  a(m.tokens);
}
template <class A>
void fields(A& a, Is<Hello> auto& m) {
  a(m.build, m.isa, m.isolation, m.layers);
}
template <class A>
void fields(A& a, Is<ModelCard> auto& m) {
  a(m.digest, m.architecture, m.chat_format, m.parameters, m.vocabulary, m.context, m.layers, m.width, m.heads,
    m.kv_heads, m.bytes, m.dtype);
}
template <class A>
void fields(A& a, Is<Turn> auto& m) {
  a(m.role, m.text);
}
template <class A>
void fields(A& a, Is<Prompt> auto& m) {
  a(m.turns, m.raw, m.prefill);
}
template <class A>
void fields(A& a, Is<Sampling> auto& m) {
  a(m.temperature, m.top_p, m.min_p, m.top_k, m.seed, m.max_tokens, m.stop);
}
template <class A>
void fields(A& a, Is<CountTask> auto& m) {
  a(m.digest, m.prompt);
}
template <class A>
void fields(A& a, Is<GenerateRequest> auto& m) {
  a(m.digest, m.tenant, m.prompt, m.sampling, m.salt);
}
template <class A>
void fields(A& a, Is<Finished> auto& m) {
  a(m.input_tokens, m.output_tokens, m.stop_reason, m.stop_sequence, m.input_digest, m.output_digest, m.text_digest,
    m.build, m.isa, m.queued_us, m.first_token_us, m.total_us);
}
template <class A>
void fields(A& a, Is<TrainTask> auto& m) {
  a(m.hyperparameters, m.seed, m.train_files, m.validation_files, m.outputs, m.checkpoint_files);
}
template <class A>
void fields(A& a, Is<TrainProgress> auto& m) {
  a(m.phase, m.step, m.steps, m.tokens, m.loss, m.validation_loss, m.learning_rate, m.tokens_per_second, m.seconds_left,
    m.peak_bytes, m.note);
}
template <class A>
void fields(A& a, Is<TrainDone> auto& m) {
  a(m.steps, m.tokens, m.examples, m.parameters, m.loss, m.validation_loss, m.seconds, m.tokens_per_second,
    m.peak_bytes, m.stopped, m.data_digest, m.files_written);
}
template <class A>
void fields(A& a, Is<ProbeAttempt> auto& m) {
  a(m.name, m.tried, m.outcome, m.refused);
}
template <class A>
void fields(A& a, Is<ProbeReport> auto& m) {
  a(m.attempts, m.counters);
}
template <class A>
void fields(A& a, Is<EngineCounters> auto& m) {
  a(m.requests, m.input_tokens, m.output_tokens, m.running, m.queued, m.kv_pages, m.kv_pages_used, m.batches,
    m.preemptions);
}

class Writer {
 public:
  template <class... T>
  void operator()(const T&... members) {
    (put(members), ...);
  }
  std::string out;

 private:
  template <std::unsigned_integral U>
  void bits(U v) {
    for (size_t i = 0; i < sizeof v; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
  }
  void count(size_t n) {
    check(n <= UINT32_MAX, "rpc: a string or list of our own is over 4 GiB");
    bits(static_cast<uint32_t>(n));
  }
  void put(bool v) { out.push_back(v ? 1 : 0); }
  template <std::integral I>
  void put(I v) {
    bits(static_cast<std::make_unsigned_t<I>>(v));
  }
  void put(double v) { bits(std::bit_cast<uint64_t>(v)); }
  void put(const std::string& v) { count(v.size()), out += v; }
  template <class T>
  void put(const std::vector<T>& v) {
    count(v.size());
    for (const T& entry : v) put(entry);
  }
  template <class V>
  void put(const std::map<std::string, V>& v) {
    count(v.size());
    for (const auto& [key, value] : v) put(key), put(value);
  }
  template <class M>
  requires std::is_class_v<M>
  void put(const M& message) { fields(*this, message); }
};

class Reader {
 public:
  explicit Reader(std::string_view body) : body_(body) {}
  template <class... T>
  void operator()(T&... members) {
    (get(members), ...);
  }

  Status finish() {
    if (!reason_ && at_ < body_.size()) stop("bytes left over");
    if (!reason_) return {};
    return fail(Code::invalid, "rpc message of " + std::to_string(body_.size()) + " bytes: " + reason_ + " at byte " +
                                   std::to_string(at_));
  }

 private:
  void stop(const char* reason) {
    if (!reason_) reason_ = reason;
  }
  bool has(size_t n) {
    if (!reason_ && n > body_.size() - at_) stop("ends too early");
    return !reason_;
  }
  template <std::unsigned_integral U>
  U bits() {
    if (!has(sizeof(U))) return 0;
    U v = 0;
    for (size_t i = 0; i < sizeof v; ++i)
      v = static_cast<U>(v | static_cast<U>(static_cast<U>(static_cast<unsigned char>(body_[at_ + i])) << (8 * i)));
    at_ += sizeof v;
    return v;
  }
  // The entries of a list: each takes at least min_bytes, so a count that the body cannot hold allocates nothing.
  size_t count(size_t min_bytes) {
    const size_t n = bits<uint32_t>();
    if (n > kMaxList) stop("a list is too long");
    if (!reason_ && n > (body_.size() - at_) / min_bytes) stop("a count is larger than what follows");
    return reason_ ? 0 : n;
  }

  void get(bool& v) {
    const auto byte = bits<uint8_t>();
    if (byte > 1) stop("a bool is neither 0 nor 1");
    v = byte == 1;
  }
  template <std::integral I>
  void get(I& v) {
    v = static_cast<I>(bits<std::make_unsigned_t<I>>());
  }
  void get(double& v) { v = std::bit_cast<double>(bits<uint64_t>()); }
  void get(std::string& v) {
    const size_t n = bits<uint32_t>();
    if (!has(n)) return;
    v.assign(body_.substr(at_, n));
    at_ += n;
  }
  template <class T>
  void get(std::vector<T>& v) {
    // Strings take four bytes at least, and so do messages, each of which starts with a string.
    const size_t n = count(4);
    v.clear();
    v.reserve(n);
    for (size_t i = 0; i < n && !reason_; ++i) get(v.emplace_back());
  }
  template <class V>
  void get(std::map<std::string, V>& v) {
    const size_t n = count(4);
    v.clear();
    for (size_t i = 0; i < n && !reason_; ++i) {
      std::string key;
      get(key);
      if (!v.empty() && key <= v.rbegin()->first) stop("keys of a map are not in ascending order");
      get(v.emplace_hint(v.end(), std::move(key), V{})->second);
    }
  }
  template <class M>
  requires std::is_class_v<M>
  void get(M& message) { fields(*this, message); }

  std::string_view body_;
  size_t at_ = 0;
  const char* reason_ = nullptr;
};

}  // namespace

template <class T>
std::string encode(const T& message) {
  Writer writer;
  fields(writer, message);
  return std::move(writer.out);
}

template <class T>
Result<T> decode(std::string_view body) {
  Reader reader(body);
  T message;
  fields(reader, message);
  TRY(reader.finish());
  return message;
}

#define HF_RPC_MESSAGE(T)                \
  template std::string encode(const T&); \
  template Result<T> decode(std::string_view)
HF_RPC_MESSAGE(Hello);
HF_RPC_MESSAGE(LoadTask);
HF_RPC_MESSAGE(UnloadTask);
HF_RPC_MESSAGE(CountTask);
HF_RPC_MESSAGE(GenerateRequest);
HF_RPC_MESSAGE(TrainTask);
HF_RPC_MESSAGE(ProbeTask);
HF_RPC_MESSAGE(Text);
HF_RPC_MESSAGE(TrainProgress);
HF_RPC_MESSAGE(ModelCard);
HF_RPC_MESSAGE(Counted);
HF_RPC_MESSAGE(Finished);
HF_RPC_MESSAGE(TrainDone);
HF_RPC_MESSAGE(ProbeReport);
HF_RPC_MESSAGE(EngineCounters);
HF_RPC_MESSAGE(Failed);
#undef HF_RPC_MESSAGE

Failed to_failed(const Error& error) { return {static_cast<uint8_t>(error.code), error.name, error.message}; }

Error to_error(const Failed& failed) {
  const bool known = failed.code <= static_cast<uint8_t>(Code::internal);
  return fail(known ? static_cast<Code>(failed.code) : Code::internal, failed.name, failed.message);
}

std::string_view type_name(Type type) {
  switch (type) {
    case Type::hello:
      return "hello";
    case Type::load:
      return "load";
    case Type::unload:
      return "unload";
    case Type::inspect:
      return "inspect";
    case Type::count:
      return "count";
    case Type::generate:
      return "generate";
    case Type::train:
      return "train";
    case Type::probe:
      return "probe";
    case Type::counters:
      return "counters";
    case Type::cancel:
      return "cancel";
    case Type::pause:
      return "pause";
    case Type::resume:
      return "resume";
    case Type::stop:
      return "stop";
    case Type::text:
      return "text";
    case Type::progress:
      return "progress";
    case Type::card:
      return "card";
    case Type::unloaded:
      return "unloaded";
    case Type::counted:
      return "counted";
    case Type::finished:
      return "finished";
    case Type::trained:
      return "trained";
    case Type::report:
      return "report";
    case Type::counted_all:
      return "counted_all";
    case Type::failed:
      return "failed";
  }
  return "unknown";
}

bool known_type(uint8_t byte) { return type_name(static_cast<Type>(byte)) != "unknown"; }

}  // namespace hf::rpc
