#include "rpc/codec.h"

#include <gtest/gtest.h>

#include <limits>

namespace hf::rpc {
namespace {

Prompt some_prompt() { return {{{"system", "Be short."}, {"user", std::string("a\0b", 3)}}, "raw", "{\""}; }

GenerateRequest some_generate() {
  GenerateRequest m;
  m.digest = "d1";
  m.tenant = "000000000001";
  m.prompt = some_prompt();
  m.sampling = {0.7, 0.9, 0.05, 40, std::numeric_limits<uint64_t>::max(), -1, {"\n\n", "END"}};
  m.salt = std::string(16, '\xff');
  return m;
}

TrainTask some_train() {
  TrainTask m;
  m.hyperparameters = {{"epochs", "2"}, {"lr", "0.001"}};
  m.seed = 7;
  m.train_files = 3;
  m.validation_files = 1;
  m.outputs = {"config.json", "model.safetensors"};
  m.checkpoint_files = 2;
  return m;
}

ProbeReport some_report() {
  ProbeReport m;
  m.attempts = {{"dns", "sendto UDP 53", "ENETUNREACH", true}, {"ipv6", "connect", "EPERM", true}};
  m.counters = {{"packets out", 0}, {"refusals", 12}};
  return m;
}

// A value of every message, each member different from its default.
template <class Check>
void each_message(Check check) {
  check(Hello{"b", "avx2", "in words", {"seccomp", "landlock"}});
  check(LoadTask{"d", {"config.json"}, true});
  check(UnloadTask{"d"});
  check(CountTask{"d", some_prompt()});
  check(some_generate());
  check(some_train());
  check(ProbeTask{{"/x/y"}, "/x/sock", 8080});
  check(Text{"piece"});
  check(TrainProgress{"training", 1, 2, 3, 4.5, 5.5, 6.5, 7.5, 8.5, 9, "note"});
  check(ModelCard{"d", "llama", "chatml", 1, 2, 3, 4, 5, 6, 7, 8, "bf16"});
  check(Counted{-5});
  check(Finished{1, 2, "end_turn", "s", "i", "o", "t", "b", "isa", 3, 4, 5});
  check(TrainDone{1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9, true, "d", {"f"}});
  check(some_report());
  check(EngineCounters{1, 2, 3, 4, 5, 6, 7, 8, 9});
  check(Failed{3, "n", "m"});
}

TEST(Codec, EveryMessageComesBackTheSame) {
  each_message([](const auto& message) {
    using T = std::decay_t<decltype(message)>;
    const std::string bytes = encode(message);
    auto back = decode<T>(bytes);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(encode(*back), bytes);
    EXPECT_NE(encode(T{}), bytes);
  });
}

TEST(Codec, MembersKeepTheirValues) {
  auto back = decode<GenerateRequest>(encode(some_generate()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->prompt.turns[1].text, std::string("a\0b", 3));
  EXPECT_EQ(back->prompt.prefill, "{\"");
  EXPECT_EQ(back->sampling.temperature, 0.7);
  EXPECT_EQ(back->sampling.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(back->sampling.max_tokens, -1);
  EXPECT_EQ(back->sampling.stop, (std::vector<std::string>{"\n\n", "END"}));
  auto report = decode<ProbeReport>(encode(some_report()));
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->counters.at("refusals"), 12);
  EXPECT_TRUE(report->attempts[0].refused);
}

TEST(Codec, CutAtEveryByteIsRefused) {
  each_message([](const auto& message) {
    using T = std::decay_t<decltype(message)>;
    const std::string bytes = encode(message);
    for (size_t n = 0; n < bytes.size(); ++n) {
      auto back = decode<T>(std::string_view(bytes).substr(0, n));
      ASSERT_FALSE(back.ok()) << n << " of " << bytes.size();
      EXPECT_EQ(back.error().code, Code::invalid);
    }
    EXPECT_FALSE(decode<T>(bytes + '\0').ok());
  });
}

// Any single wrong byte either decodes to something that encodes to these bytes, or is refused: never a crash, and
// never two forms of one value.
TEST(Codec, AnyWrongByteIsHarmless) {
  each_message([](const auto& message) {
    using T = std::decay_t<decltype(message)>;
    const std::string bytes = encode(message);
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const int wrong : {0, 1, 2, 127, 128, 255}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(wrong);
        auto back = decode<T>(changed);
        if (back.ok()) {
          EXPECT_EQ(encode(*back), changed);
        }
      }
    }
  });
}

TEST(Codec, CountsAreHeldAgainstWhatIsThere) {
  // A list of four billion strings in a body of 8 bytes: refused before anything is allocated.
  EXPECT_FALSE(decode<LoadTask>(std::string(4, '\0') + std::string(4, '\xff')).ok());
  // One entry over the limit, with all its bytes there.
  const std::string counts("\x01\x00\x10\x00", 4);  // (1 << 20) + 1
  auto over = decode<LoadTask>(std::string(4, '\0') + counts + std::string(4 * (kMaxList + 1), '\0'));
  ASSERT_FALSE(over.ok());
  EXPECT_NE(over.error().message.find("too long"), std::string::npos) << over.error().message;
  EXPECT_TRUE(
      decode<LoadTask>(std::string(4, '\0') + std::string("\0\0\x10\0", 4) + std::string(4 * kMaxList + 1, '\0')).ok());
}

TEST(Codec, MapKeysAscendStrictly) {
  ProbeReport one;
  one.counters = {{"a", 1}, {"b", 2}};
  std::string bytes = encode(one);
  std::swap(bytes[bytes.find('a')], bytes[bytes.find('b')]);
  EXPECT_FALSE(decode<ProbeReport>(bytes).ok());
  bytes = encode(one);
  bytes[bytes.find('b')] = 'a';
  EXPECT_FALSE(decode<ProbeReport>(bytes).ok());
}

TEST(Codec, ErrorsCross) {
  const Error back = to_error(to_failed(fail(Code::exhausted, "Name", "no pages")));
  EXPECT_EQ(back.code, Code::exhausted);
  EXPECT_EQ(back.name, "Name");
  EXPECT_EQ(back.message, "no pages");
  EXPECT_EQ(to_error(Failed{200, "", ""}).code, Code::internal);
}

TEST(Codec, TypesAreNamed) {
  int known = 0;
  for (int byte = 0; byte < 256; ++byte) known += known_type(static_cast<uint8_t>(byte));
  EXPECT_EQ(known, 23);
  EXPECT_TRUE(is_last(Type::failed) && is_last(Type::card) && !is_last(Type::text) && !is_last(Type::progress));
}

}  // namespace
}  // namespace hf::rpc
