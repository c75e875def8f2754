#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <sstream>

#include "security/sigv4_testing.h"

namespace hf::security {
namespace {

using testing::own_request;
using testing::own_vectors;
using testing::text;

struct Streamed {
  std::string name, raw, decoded;
  HeaderList trailers;
  Claim claim;
};

std::vector<Streamed> streamed() {
  std::vector<Streamed> out;
  auto vectors = own_vectors();
  for (const auto& v : vectors.at("streaming").as_array()) {
    auto request = own_request(v);
    Streamed s{text(v.at("name")),
               *unhex(text(v.at("raw"))),
               *unhex(text(v.at("decoded"))),
               {},
               *parse_claim(request.parts())};
    for (const auto& t : v.at("trailers").as_array()) s.trailers.emplace_back(text(t.at(0)), text(t.at(1)));
    EXPECT_TRUE(testing::check_request(request, text(vectors.at("secret"))).ok()) << s.name;
    out.push_back(std::move(s));
  }
  return out;
}

crypto::Secret secret() { return crypto::Secret(text(own_vectors().at("secret"))); }

struct Outcome {
  Status status;
  std::string bytes;
  bool done;
  HeaderList trailers;
};

// `sizes` says how the raw bytes are cut; the last one is used for what is left.
Outcome decode(const Claim& claim, std::string_view raw, const std::vector<size_t>& sizes = {1 << 20}) {
  ChunkedDecoder decoder(claim, secret());
  Outcome o{};
  for (size_t i = 0; !raw.empty(); ++i) {
    size_t n = std::max<size_t>(1, sizes[std::min(i, sizes.size() - 1)]);
    auto part = raw.substr(0, n);
    raw.remove_prefix(part.size());
    o.status = decoder.feed(part, o.bytes);
    if (!o.status.ok()) break;
  }
  o.done = decoder.done();
  o.trailers = decoder.trailers();
  return o;
}

Claim unsigned_claim() {
  Claim c;
  c.mode = PayloadMode::streaming_unsigned_trailer;
  return c;
}

TEST(Chunked, SignedVectorsDecodeHoweverTheyAreCut) {
  for (const auto& s : streamed()) {
    for (size_t cut : {1, 2, 3, 7, 64, 100000}) {
      auto o = decode(s.claim, s.raw, {cut});
      ASSERT_TRUE(o.status.ok()) << s.name << ": " << o.status.error().message;
      EXPECT_TRUE(o.done);
      EXPECT_EQ(o.bytes, s.decoded);
      EXPECT_EQ(o.trailers, s.trailers);
    }
  }
}

TEST(Chunked, NoChangedByteOfASignedBodyIsGivenOut) {
  for (const auto& s : streamed()) {
    for (size_t i = 0; i < s.raw.size(); ++i) {
      std::string raw = s.raw;
      raw[i] = static_cast<char>(raw[i] ^ 1);
      auto o = decode(s.claim, raw);
      // What was given out before the error is a prefix of the true bytes, and the end is never reached with a
      // difference in bytes or trailers. (A size's hex digit may change its case only by ^ 0x20, never by ^ 1.)
      EXPECT_EQ(s.decoded.rfind(o.bytes, 0), 0u) << s.name << " at " << i;
      EXPECT_FALSE(o.status.ok() && o.done) << s.name << " at " << i;
    }
    for (size_t n = 0; n < s.raw.size(); ++n)
      EXPECT_FALSE(decode(s.claim, s.raw.substr(0, n)).done) << s.name << " cut at " << n;
    EXPECT_FALSE(decode(s.claim, s.raw + "x").status.ok());
  }
}

TEST(Chunked, ChunksMayNotChangePlaces) {
  auto all = streamed();
  const auto& s = all[2];  // three chunks: two of 1024 bytes first
  size_t first = s.raw.find("\r\n") + 2 + 1024 + 2;
  std::string swapped = s.raw.substr(first, first) + s.raw.substr(0, first) + s.raw.substr(2 * first);
  EXPECT_EQ(decode(s.claim, swapped).status.error().name, "SignatureDoesNotMatch");
  std::string left_out = s.raw.substr(first);
  EXPECT_EQ(decode(s.claim, left_out).status.error().name, "SignatureDoesNotMatch");
}

TEST(Chunked, UnsignedTrailerAsTodaysClientsSendIt) {
  auto o = decode(unsigned_claim(), "c\r\nhello world\n\r\n0\r\nx-amz-checksum-crc32:rwg7LQ==\r\n\r\n", {1});
  ASSERT_TRUE(o.status.ok()) << o.status.error().message;
  EXPECT_TRUE(o.done);
  EXPECT_EQ(o.bytes, "hello world\n");
  EXPECT_EQ(o.trailers, (HeaderList{{"x-amz-checksum-crc32", "rwg7LQ=="}}));
  EXPECT_TRUE(decode(unsigned_claim(), "0\r\n\r\n").done);
}

TEST(Chunked, BrokenFramesAreRefused) {
  for (const char* bad : {"g\r\n", "\r\n", ";x\r\n", "-1\r\n", "1;chunk-signature=aa\r\n", "1\r\nab", "1\r\na\n\n",
                          "0\r\na\r\n", "0\r\n:b\r\n", "0\r\na:1\r\na:2\r\n", "0\r\nx-amz-trailer-signature:a\r\n",
                          "00000000000000001\r\n", "0\r\na:b\rc\r\n"}) {
    auto o = decode(unsigned_claim(), bad);
    ASSERT_FALSE(o.status.ok()) << bad;
    EXPECT_EQ(o.status.error().name, "IncompleteBody") << bad;
    EXPECT_FALSE(o.done);
  }
  Claim c = unsigned_claim();
  EXPECT_EQ(decode(c, "140000001\r\n").status.error().code, Code::too_large);
  c.mode = PayloadMode::streaming_signed;
  EXPECT_EQ(decode(c, "1000001;chunk-signature=" + std::string(64, 'a') + "\r\n").status.error().code, Code::too_large);
  EXPECT_EQ(decode(unsigned_claim(), std::string(300, '0')).status.error().name, "IncompleteBody");
  EXPECT_EQ(decode(unsigned_claim(), "0\r\n" + std::string(9000, 'a')).status.error().name, "IncompleteBody");
  std::string many = "0\r\n";
  for (int i = 0; i < 33; ++i) many += "t" + std::to_string(i) + ":v\r\n";
  EXPECT_EQ(decode(unsigned_claim(), many + "\r\n").status.error().name, "IncompleteBody");
}

TEST(Chunked, AnErrorStays) {
  ChunkedDecoder decoder(unsigned_claim(), {});
  std::string out;
  EXPECT_FALSE(decoder.feed("zz\r\n", out).ok());
  EXPECT_FALSE(decoder.feed("1\r\na\r\n0\r\n\r\n", out).ok());
  EXPECT_EQ(out, "");
}

TEST(Chunked, PropertyAnyChunksAnyCuts) {
  EXPECT_TRUE(rc::check([](const std::vector<std::string>& chunks, std::vector<uint8_t> cuts) {
    std::string raw, expected;
    for (const auto& c : chunks) {
      if (c.empty()) continue;
      std::ostringstream size;
      size << std::hex << c.size();
      raw += size.str() + "\r\n" + c + "\r\n";
      expected += c;
    }
    raw += "0\r\n\r\n";
    std::vector<size_t> sizes(cuts.begin(), cuts.end());
    sizes.push_back(11);
    auto o = decode(unsigned_claim(), raw, sizes);
    RC_ASSERT(o.status.ok());
    RC_ASSERT(o.done);
    RC_ASSERT(o.bytes == expected);
  }));
}

}  // namespace
}  // namespace hf::security
