#include "format/safetensors.h"

#include <gtest/gtest.h>

namespace hf::format {
namespace {

std::string le64(uint64_t v) {
  std::string out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
  return out;
}
std::string file_of(const std::string& header, const std::string& data) { return le64(header.size()) + header + data; }
Result<Safetensors> open(std::string bytes) { return Safetensors::open(os::Mapping::of_bytes(std::move(bytes))); }
std::string error_of(const std::string& header, const std::string& data) {
  auto file = open(file_of(header, data));
  if (file.ok()) return "opened";
  EXPECT_EQ(file.error().code, Code::corrupt);
  return file.error().message;
}

class MemoryFile final : public os::File {
 public:
  Result<size_t> read_at(uint64_t, std::span<char>) override { return fail(Code::internal, "not asked for"); }
  Status write_at(uint64_t offset, std::string_view data) override {
    if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
    bytes.replace(offset, data.size(), data);
    return {};
  }
  Status sync() override { return {}; }
  Result<uint64_t> size() override { return bytes.size(); }
  Status truncate(uint64_t n) override { return bytes.resize(n), Status(); }
  int fd() const override { return -1; }
  std::string bytes;
};

std::string two_tensors() {
  MemoryFile file;
  const std::string a(24, 'a'), b(6, 'b');
  const std::vector<TensorToWrite> tensors = {{"w", Dtype::f32, {2, 3}, a}, {"n", Dtype::bf16, {3}, b}};
  check(write_safetensors(file, tensors, {{"format", "pt"}}).ok(), "write");
  return file.bytes;
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  auto file = open(two_tensors());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->header().metadata.at("format"), "pt");
  EXPECT_EQ(file->header().data_offset % 64, 0u);
  auto w = file->find("w");
  ASSERT_TRUE(w.ok());
  EXPECT_EQ((*w)->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ((*w)->elements(), 6);
  EXPECT_EQ(file->data(**w), std::string(24, 'a'));
  EXPECT_EQ(file->data(**file->find("n")), std::string(6, 'b'));
  EXPECT_EQ(file->find("x").error().code, Code::not_found);
}

TEST(Safetensors, CutAtEveryByteIsRefused) {
  const std::string whole = two_tensors();
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(open(whole.substr(0, n)).ok()) << n;
  EXPECT_FALSE(open(whole + "x").ok());
}

TEST(Safetensors, AnyWrongHeaderByteIsHarmless) {
  const std::string whole = two_tensors();
  for (size_t at = 0; at < 200 && at < whole.size(); ++at) {
    for (const char wrong : {'\0', '9', '-', '"', '\xff', '\x7f', '}'}) {
      std::string changed = whole;
      changed[at] = wrong;
      auto file = open(changed);
      if (!file.ok()) continue;
      for (const auto& [name, tensor] : file->header().tensors)
        EXPECT_EQ(file->data(tensor).size(), static_cast<size_t>(tensor.elements()) * dtype_bytes(tensor.dtype));
    }
  }
}

TEST(Safetensors, EmptyAndScalarTensors) {
  auto file = open(file_of(R"({"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},
                              "s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
                           "1234"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ((*file->find("s"))->elements(), 1);
  EXPECT_TRUE(open(file_of("{}", "")).ok());
}

TEST(Safetensors, WrongHeadersAreNamed) {
  const auto t = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"t":{"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string d(8, 'x');
  EXPECT_EQ(error_of(t("F32", "[2]", "[0,8]"), d), "opened");
  EXPECT_NE(error_of(t("F32", "[3]", "[0,8]"), d).find("shape and dtype"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[3]", "[0,12]"), d).find("of 8 bytes"), std::string::npos);
  EXPECT_NE(error_of(t("F99", "[2]", "[0,8]"), d).find("dtype"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[-2]", "[0,8]"), d).find("not negative"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[2.0]", "[0,8]"), d).find("whole"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[2]", "[8,0]"), d).find("8 to 0"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[2]", "[0]"), d).find("two whole"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[1]", "[4,8]"), d).find("gap"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[1]", "[0,4]"), d).find("end at byte 4"), std::string::npos);
  // 2^62 * 4 and 2^32 * 2^32 wrap around to small numbers in unchecked arithmetic.
  EXPECT_NE(error_of(t("F32", "[4611686018427387904]", "[0,0]"), "").find("shape and dtype"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[4294967296,4294967296]", "[0,0]"), "").find("shape and dtype"), std::string::npos);
  EXPECT_NE(error_of(t("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), d).find("at most 8"), std::string::npos);
}

TEST(Safetensors, OverlapsAreRefused) {
  EXPECT_NE(error_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                         "b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}})",
                     std::string(8, 'x'))
                .find("overlaps"),
            std::string::npos);
}

TEST(Safetensors, HostileJson) {
  EXPECT_NE(error_of(std::string(100'000, '['), "").find("not JSON"), std::string::npos);
  EXPECT_NE(error_of("[]", "").find("expected a JSON object"), std::string::npos);
  EXPECT_NE(error_of("{} {}", "").find("not JSON"), std::string::npos);
  EXPECT_NE(error_of(R"({"__metadata__":{"a":1}})", "").find("strings"), std::string::npos);
  EXPECT_FALSE(open(le64(UINT64_MAX) + "{}").ok());
  EXPECT_FALSE(open(le64(kMaxSafetensorsHeader + 1) + std::string(kMaxSafetensorsHeader + 1, ' ')).ok());
}

}  // namespace
}  // namespace hf::format
