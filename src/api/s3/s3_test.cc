#include "api/s3/s3_testing.h"
#include "base/bytes.h"
#include "crypto/crypto.h"

namespace hf::api {
namespace {

using testing::Headers;
using testing::MemoryExchange;
using testing::MemorySite;
using testing::Request;
using testing::S3;

std::string crc32_of(std::string_view data) {
  std::string b;
  put_u32be(b, crypto::crc32(0, data));
  return base64(b);
}

TEST_F(S3, BucketsAreMadeFoundListedAndDeleted) {
  auto made = send("PUT", "/bkt");
  expect(made, 200);
  EXPECT_EQ(header(*made, "location"), "/bkt");
  EXPECT_EQ(header(*made, "x-amz-bucket-arn"), "arn:aws:s3:::bkt");
  EXPECT_EQ(site_.ledger.all.back().action, "s3:CreateBucket");
  EXPECT_EQ(site_.ledger.all.back().resource, "arn:aws:s3:::bkt");
  expect(send("PUT", "/bkt"), 409, "BucketAlreadyOwnedByYou");
  const std::string constraint =
      "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>";
  expect(send("PUT", "/bkt2/", "", constraint + "site-1</LocationConstraint></CreateBucketConfiguration>"), 200);
  expect(send("PUT", "/bkt3", "", constraint + "us-west-2</LocationConstraint></CreateBucketConfiguration>"), 400,
         "IllegalLocationConstraintException");
  expect(send("PUT", "/bkt3", "", "<CreateBucketConfiguration><Tags><Tag/></Tags></CreateBucketConfiguration>"), 501,
         "NotImplemented");
  expect(send("PUT", "/bkt3", "", "<Create"), 400, "MalformedXML");
  expect(send("PUT", "/bkt3", "", "", {{"x-amz-acl", "public-read"}}), 400, "InvalidArgument");
  expect(send("PUT", "/bkt3", "", "", {{"x-amz-grant-read", "id=1"}}), 501, "NotImplemented");
  expect(send("PUT", "/bkt3", "", "", {{"x-amz-bucket-object-lock-enabled", "true"}}), 501, "NotImplemented");
  for (const char* bad :
       {"ab", "Upper", "under_score", "-edge", "edge-", "two..dots", "10.0.0.1", "xn--a", "a-s3alias"}) {
    expect(send("PUT", std::string("/") + bad), 400, "InvalidBucketName");
  }
  auto head = send("HEAD", "/bkt");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(header(*head, "x-amz-bucket-region"), "site-1");
  EXPECT_EQ(send("HEAD", "/none")->status, 404);
  auto list = send("GET", "/");
  EXPECT_EQ(texts(*list, "Name"), "bkt bkt2");
  EXPECT_NE(list->body.find("<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"),
            std::string::npos);
  auto page = send("GET", "/", "max-buckets=1&prefix=bk");
  EXPECT_EQ(texts(*page, "Name"), "bkt");
  auto rest = send("GET", "/", "max-buckets=1&prefix=bk&continuation-token=" + texts(*page, "ContinuationToken"));
  EXPECT_EQ(texts(*rest, "Name"), "bkt2");
  EXPECT_EQ(texts(*rest, "ContinuationToken"), "");
  EXPECT_EQ(texts(*send("GET", "/", "bucket-region=elsewhere"), "Name"), "");
  expect(send("GET", "/", "max-buckets=0"), 400, "InvalidArgument");
  auto location = send("GET", "/bkt", "location");
  EXPECT_NE(location->body.find("<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">site-1</"),
            std::string::npos);
  EXPECT_EQ(header(*location, "content-type"), "application/xml");
  auto versioning = send("GET", "/bkt", "versioning");
  EXPECT_EQ(versioning->status, 200);
  EXPECT_NE(versioning->body.find("<VersioningConfiguration"), std::string::npos);
  EXPECT_EQ(versioning->body.find("Status"), std::string::npos);
  expect(send("DELETE", "/bkt2"), 204);
  expect(send("DELETE", "/bkt2"), 404, "NoSuchBucket");
  expect(send("PUT", "/bkt/k", "", "x"), 200);
  expect(send("DELETE", "/bkt"), 409, "BucketNotEmpty");
}

TEST_F(S3, ObjectsComeBackWithWhatWasSaidOfThem) {
  make_bucket();
  const std::string body = "hello world\n";
  auto put = send("PUT", "/bkt/a/b%20c%2F%C3%A9", "", body,
                  {{"content-type", "text/plain"},
                   {"cache-control", "no-cache"},
                   {"content-encoding", "aws-chunked,gzip"},
                   {"x-amz-meta-who", "me"},
                   {"x-amz-acl", "private"},
                   {"x-amz-storage-class", "STANDARD"}});
  expect(put, 200);
  const std::string etag = "\"" + hex(crypto::digest(crypto::Hash::md5, body)) + "\"";
  EXPECT_EQ(header(*put, "etag"), etag);
  EXPECT_EQ(header(*put, "x-amz-checksum-type"), "FULL_OBJECT");
  EXPECT_FALSE(header(*put, "x-amz-checksum-crc64nvme").empty());
  EXPECT_EQ(site_.ledger.all.back().resource, "arn:aws:s3:::bkt/a/b c/\xc3\xa9");
  EXPECT_EQ(site_.ledger.all.back().detail, "{\"etag\":\"" + etag.substr(1, 32) + "\",\"size\":12}");
  site_.journal.lines.clear();
  auto get = send("GET", "/bkt/a/b%20c%2F%C3%A9", "", "", {{"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_EQ(get->status, 200);
  EXPECT_EQ(get->body, body);
  EXPECT_TRUE(site_.journal.before("entry allow s3:GetObject", "start 200"));
  EXPECT_EQ(header(*get, "etag"), etag);
  EXPECT_EQ(header(*get, "content-length"), "12");
  EXPECT_EQ(header(*get, "content-type"), "text/plain");
  EXPECT_EQ(header(*get, "content-encoding"), "gzip");
  EXPECT_EQ(header(*get, "cache-control"), "no-cache");
  EXPECT_EQ(header(*get, "x-amz-meta-who"), "me");
  EXPECT_EQ(header(*get, "accept-ranges"), "bytes");
  EXPECT_EQ(header(*get, "last-modified"), http_date(site_.clock.now()));
  EXPECT_EQ(header(*get, "x-amz-checksum-crc64nvme"), header(*put, "x-amz-checksum-crc64nvme"));
  auto head = send("HEAD", "/bkt/a/b%20c%2F%C3%A9");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(header(*head, "content-length"), "12");
  EXPECT_EQ(header(*head, "x-amz-checksum-crc64nvme"), "");  // not asked for
  auto over = send("GET", "/bkt/a/b%20c%2F%C3%A9",
                   "response-content-type=x%2Fy&response-cache-control=max-age%3D1&response-content-disposition=d&"
                   "response-content-language=l&response-content-encoding=e&response-expires=never");
  EXPECT_EQ(header(*over, "content-type"), "x/y");
  EXPECT_EQ(header(*over, "cache-control"), "max-age=1");
  EXPECT_EQ(header(*over, "content-disposition"), "d");
  EXPECT_EQ(header(*over, "content-language"), "l");
  EXPECT_EQ(header(*over, "content-encoding"), "e");
  EXPECT_EQ(header(*over, "expires"), "never");
  expect(send("GET", "/bkt/none"), 404, "NoSuchKey");
  expect(send("GET", "/none/none"), 404, "NoSuchBucket");
  expect(send("PUT", "/none/none", "", "x"), 404, "NoSuchBucket");
  EXPECT_EQ(send("HEAD", "/bkt/none")->status, 404);
  expect(send("GET", "/bkt/a", "versionId=abc"), 400, "InvalidArgument");
  expect(send("PUT", "/bkt/" + std::string(1025, 'k'), "", "x"), 400, "KeyTooLongError");
  expect(send("PUT", "/bkt/k", "", "x", {{"x-amz-meta-a", std::string(2100, 'm')}}), 400, "MetadataTooLarge");
  // Empty, without a type.
  expect(send("PUT", "/bkt/empty"), 200);
  auto empty = send("GET", "/bkt/empty", "versionId=null");
  EXPECT_EQ(empty->status, 200);
  EXPECT_EQ(header(*empty, "content-length"), "0");
  EXPECT_EQ(header(*empty, "content-type"), "binary/octet-stream");
}

TEST_F(S3, WhatIsNotOfferedIsRefusedByName) {
  make_bucket();
  const std::pair<const char*, const char*> refused[] = {{"x-amz-server-side-encryption", "ServerSideEncryption"},
                                                         {"x-amz-tagging", "Tagging"},
                                                         {"x-amz-object-lock-mode", "ObjectLockMode"},
                                                         {"x-amz-website-redirect-location", "WebsiteRedirectLocation"},
                                                         {"x-amz-request-payer", "RequestPayer"},
                                                         {"x-amz-grant-read", "GrantRead"},
                                                         {"x-amz-copy-source", "CopyObject"},
                                                         {"x-amz-write-offset-bytes", "WriteOffsetBytes"},
                                                         {"x-amz-unheard-of", "x-amz-unheard-of"},
                                                         {"x-amz-checksum-xxhash64", "x-amz-checksum-xxhash64"}};
  for (const auto& [name, said] : refused) {
    auto e = send("PUT", "/bkt/k", "", "x", {{name, "value"}});
    expect(e, 501, "NotImplemented");
    EXPECT_NE(e->body.find(said), std::string::npos) << e->body;
  }
  expect(send("POST", "/bkt/k", "restore"), 501, "NotImplemented");
  expect(send("PUT", "/bkt/k", "tagging", "<Tagging/>"), 501, "NotImplemented");
  expect(send("GET", "/bkt", "acl"), 501, "NotImplemented");
  expect(send("PUT", "/bkt/k", "", "x", {{"x-amz-storage-class", "GLACIER"}}), 400, "InvalidArgument");
  expect(send("GET", "/bkt/k"), 404, "NoSuchKey");  // none of them stored anything
  size_t known = 0, implemented = 0;
  for (const auto& row : coverage(gate_->services())) {
    ++known;
    implemented += row.status == "implemented";
  }
  EXPECT_EQ(implemented, 24u);
  EXPECT_GE(known, 105u);
}

TEST_F(S3, AnUnknownSubResourceNeverDeletesTheObjectOrTheBucket) {
  make_bucket();
  expect(send("DELETE", "/bkt", "novelty"), 501, "NotImplemented");
  expect(send("PUT", "/bkt/k", "", "x"), 200);
  for (const char* query : {"novelty=1", "annotation&annotationName=a", "uploadid=1", "partNumber=1"}) {
    expect(send("DELETE", "/bkt/k", query), 501, "NotImplemented");
    expect(send("PUT", "/bkt/k", query, "y"), 501, "NotImplemented");
  }
  EXPECT_EQ(send("GET", "/bkt/k", "x-id=GetObject")->body, "x");
  expect(send("GET", "/bkt/k", "annotation"), 501, "NotImplemented");
  expect(send("GET", "/bkt", "list-type=2&colour=red"), 501, "NotImplemented");
}

// What a presigned URL holds in its query is as good as the header of that name.
TEST_F(S3, HeadersInAPresignedQueryAreHonoured) {
  make_bucket();
  auto presigned = [&](const std::string& method, const std::string& query, const std::string& body) {
    Request r;
    r.method = method;
    r.path = "/bkt/k";
    r.body = body;
    r.query = security::presign({"AKIAone", crypto::Secret("secret-one"), ""}, "site-1", "s3", site_.clock.now(), 600,
                                method, r.authority, r.path, query);
    return site_.send(*gate_, r);
  };
  expect(presigned("PUT",
                   "x-amz-meta-colour=red&x-id=PutObject&x-amz-checksum-crc32=AAAAAA%3D%3D&"
                   "x-amz-sdk-checksum-algorithm=CRC32",
                   "hello"),
         200);
  auto got = presigned("GET", "x-amz-checksum-mode=ENABLED", "");
  EXPECT_EQ(got->body, "hello");
  EXPECT_EQ(header(*got, "x-amz-meta-colour"), "red");
  EXPECT_NE(header(*got, "x-amz-checksum-crc64nvme"), "");
  expect(presigned("PUT", "x-amz-acl=public-read", "hello"), 400, "InvalidArgument");
  expect(presigned("PUT", "x-amz-meta-colour=red%0d%0ax-evil:1", "hello"), 400, "InvalidArgument");
  expect(presigned("PUT", "x-amz-server-side-encryption=AES256", "hello"), 501, "NotImplemented");
  expect(presigned("GET", "x-amz-expected-bucket-owner=444455556666", ""), 403, "AccessDenied");
}

// XML has no way to say a control character.
TEST_F(S3, ErrorsStayXmlWhateverTheKey) {
  make_bucket();
  auto e = send("GET", "/bkt/a%01%00b");
  EXPECT_EQ(e->status, 404);
  EXPECT_EQ(e->body.find("&#x"), std::string::npos) << e->body;
}

TEST_F(S3, DigestsOfEveryBodyAreVerified) {
  const std::string body =
      "<CreateBucketConfiguration><LocationConstraint>site-1</LocationConstraint></CreateBucketConfiguration>";
  auto make = [&](const char* name, const std::string& value) {
    return send("PUT", "/bkt", "", body, {{name, value}});
  };
  expect(make("content-md5", base64(crypto::digest(crypto::Hash::md5, "else"))), 400, "BadDigest");
  expect(make("content-md5", "x"), 400, "InvalidDigest");
  expect(make("x-amz-checksum-crc32", crc32_of("else")), 400, "BadDigest");
  expect(make("x-amz-checksum-xxhash64", "AAAAAAAAAAA="), 501, "NotImplemented");
  expect(make("x-amz-checksum-type", "FULL_OBJECT"), 501, "NotImplemented");
  expect(make("x-amz-checksum-crc32", crc32_of(body)), 200);
  expect(
      send("POST", "/bkt/k", "uploadId=1", "<CompleteMultipartUpload/>", {{"x-amz-checksum-xxhash64", "AAAAAAAAAAA="}}),
      501, "NotImplemented");
  auto put = [&](const char* name, const char* value) {
    return send("PUT", "/bkt/k", "", "x", {{"x-amz-checksum-crc32", crc32_of("x")}, {name, value}});
  };
  expect(put("x-amz-checksum-algorithm", "CRC32"), 200);
  expect(put("x-amz-checksum-algorithm", "SHA256"), 400, "InvalidRequest");
  expect(put("x-amz-checksum-type", "FULL_OBJECT"), 200);
  expect(put("x-amz-checksum-type", "COMPOSITE"), 400, "InvalidRequest");
  expect(put("x-amz-checksum-mode", "ENABLED"), 501, "NotImplemented");
}

TEST_F(S3, RangesAreExact) {
  make_bucket();
  std::string body = os::FakeRandom(9).bytes((2 << 20) + 5000);
  expect(send("PUT", "/bkt/k", "", body), 200);
  auto range = [&](const std::string& text) { return send("GET", "/bkt/k", "", "", {{"range", text}}); };
  const uint64_t n = body.size();
  const struct {
    std::string text;
    uint64_t from, to;
  } good[] = {{"bytes=0-0", 0, 1},
              {"bytes=5-9", 5, 10},
              {"bytes=1048570-1048580", 1048570, 1048581},
              {"bytes=2097152-", 2097152, n},
              {"bytes=-7", n - 7, n},
              {"bytes=-99999999", 0, n},
              {"bytes=0-99999999", 0, n}};
  for (const auto& g : good) {
    auto e = range(g.text);
    EXPECT_EQ(e->status, 206) << g.text;
    EXPECT_TRUE(e->body == body.substr(g.from, g.to - g.from)) << g.text;
    EXPECT_EQ(header(*e, "content-range"),
              "bytes " + std::to_string(g.from) + "-" + std::to_string(g.to - 1) + "/" + std::to_string(n));
    EXPECT_EQ(header(*e, "content-length"), std::to_string(g.to - g.from));
  }
  for (const char* past : {"bytes=99999999-", "bytes=-0"}) expect(range(past), 416, "InvalidRange");
  for (const char* bad : {"bytes=5", "bytes=-", "bytes=9-5", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=--1"}) {
    expect(range(bad), 400, "InvalidArgument");
  }
  auto head = send("HEAD", "/bkt/k", "", "", {{"range", "bytes=5-9"}});
  EXPECT_EQ(head->status, 206);
  EXPECT_EQ(header(*head, "content-length"), "5");
  auto part = send("GET", "/bkt/k", "partNumber=1", "", {{"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_EQ(part->status, 206);
  EXPECT_TRUE(part->body == body);
  expect(send("GET", "/bkt/k", "partNumber=2"), 416, "InvalidPartNumber");
  auto checked = send("GET", "/bkt/k", "", "", {{"range", "bytes=5-9"}, {"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_EQ(header(*checked, "x-amz-checksum-crc64nvme"), "");  // it is of the whole object
  auto changed = send("GET", "/bkt/k", "", "", {{"range", "bytes=5-9"}, {"if-range", "\"other\""}});
  EXPECT_EQ(changed->status, 200);
  EXPECT_EQ(changed->body.size(), n);
  expect(send("PUT", "/bkt/empty"), 200);
  expect(send("GET", "/bkt/empty", "", "", {{"range", "bytes=0-5"}}), 416, "InvalidRange");
}

// A client that is slow: the handler is over, and the rest is read when there is room, a block at a time.
TEST_F(S3, ALargeObjectIsSentAsTheClientTakesIt) {
  make_bucket();
  const std::string body = os::FakeRandom(9).bytes((3 << 20) + 5000);
  expect(send("PUT", "/bkt/k", "", body), 200);
  Request r;
  r.path = "/bkt/k";
  site_.sign(r, "s3", "AKIAone", "secret-one");
  auto e = site_.exchange(r);
  e->full = true;
  gate_->handle(e);
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_FALSE(e->finished);
    EXPECT_EQ(e->body.size(), i << 20);
    auto room = e->room;
    room();
  }
  EXPECT_EQ(e->body.size(), body.size());
  auto room = e->room;
  room();
  EXPECT_TRUE(e->finished);
  EXPECT_TRUE(e->body == body);
  EXPECT_FALSE(e->aborted);

  auto gone = site_.exchange(r);
  gone->full = true;
  gate_->handle(gone);
  gone->gone = true;
  room = gone->room;
  room();
  gone->room = nullptr;  // as the server does when the client is gone
  room = nullptr;
  EXPECT_EQ(gone->body.size(), size_t{1} << 20);
  EXPECT_EQ(gone.use_count(), 1) << "nothing keeps it";
}

TEST_F(S3, ConditionsHold) {
  make_bucket();
  auto put = send("PUT", "/bkt/k", "", "one", {{"if-none-match", "*"}});
  expect(put, 200);
  const std::string etag = header(*put, "etag");
  expect(send("PUT", "/bkt/k", "", "two", {{"if-none-match", "*"}}), 412, "PreconditionFailed");
  expect(send("PUT", "/bkt/k", "", "two", {{"if-none-match", etag}}), 501, "NotImplemented");
  expect(send("PUT", "/bkt/k", "", "two", {{"if-match", "\"other\""}}), 412, "PreconditionFailed");
  expect(send("PUT", "/bkt/none", "", "two", {{"if-match", etag}}), 404, "NoSuchKey");
  EXPECT_EQ(send("GET", "/bkt/k")->body, "one");
  expect(send("PUT", "/bkt/k", "", "one", {{"if-match", etag}}), 200);
  const std::string now = http_date(site_.clock.now()), before = http_date(site_.clock.now() - 10'000'000);
  const struct {
    const char* name;
    std::string value;
    int status;
  } cases[] = {{"if-match", etag, 200},
               {"if-match", "\"x\", " + etag, 200},
               {"if-match", "\"x\"", 412},
               {"if-none-match", etag, 304},
               {"if-none-match", "*", 304},
               {"if-none-match", "\"x\"", 200},
               {"if-modified-since", before, 200},
               {"if-modified-since", now, 304},
               {"if-unmodified-since", now, 200},
               {"if-unmodified-since", before, 412}};
  for (const auto& c : cases) {
    for (const char* method : {"GET", "HEAD"}) {
      auto e = send(method, "/bkt/k", "", "", {{c.name, c.value}});
      EXPECT_EQ(e->status, c.status) << method << " " << c.name << " " << c.value;
      if (c.status == 304) {
        EXPECT_EQ(header(*e, "etag"), etag);
        EXPECT_EQ(e->body, "");
      }
    }
  }
  // If-Match decides before If-Unmodified-Since, If-None-Match before If-Modified-Since.
  EXPECT_EQ(send("GET", "/bkt/k", "", "", {{"if-match", etag}, {"if-unmodified-since", before}})->status, 200);
  EXPECT_EQ(send("GET", "/bkt/k", "", "", {{"if-none-match", "\"x\""}, {"if-modified-since", now}})->status, 200);
  expect(send("DELETE", "/bkt/k", "", "", {{"if-match", "\"x\""}}), 412, "PreconditionFailed");
  expect(send("DELETE", "/bkt/k", "", "", {{"if-match", etag}}), 204);
  expect(send("GET", "/bkt/k"), 404, "NoSuchKey");
}

TEST_F(S3, ChecksumsInHeadersAreVerifiedKeptAndGivenBack) {
  make_bucket();
  const std::string body = "hello";
  std::string c32, c32c, c64;
  put_u32be(c32, crypto::crc32(0, body));
  put_u32be(c32c, crypto::crc32c(0, body));
  put_u64be(c64, crypto::crc64nvme(0, body));
  const Headers sums = {{"x-amz-checksum-crc32", base64(c32)},
                        {"x-amz-checksum-crc32c", base64(c32c)},
                        {"x-amz-checksum-crc64nvme", base64(c64)},
                        {"x-amz-checksum-sha1", base64(crypto::digest(crypto::Hash::sha1, body))},
                        {"x-amz-checksum-sha256", base64(crypto::sha256(body))},
                        {"x-amz-checksum-sha512", base64(crypto::digest(crypto::Hash::sha512, body))},
                        {"x-amz-checksum-md5", base64(crypto::digest(crypto::Hash::md5, body))},
                        {"content-md5", base64(crypto::digest(crypto::Hash::md5, body))}};
  EXPECT_EQ(base64(c64), "M3eFcAZSQlc=");
  for (const auto& [name, value] : sums) {
    auto put = send("PUT", "/bkt/k", "", body, {{name, value}});
    expect(put, 200);
    if (name != "content-md5") {
      EXPECT_EQ(header(*put, name.c_str()), value);
      auto get = send("GET", "/bkt/k", "", "", {{"x-amz-checksum-mode", "ENABLED"}});
      EXPECT_EQ(header(*get, name.c_str()), value);
      EXPECT_EQ(header(*get, "x-amz-checksum-type"), "FULL_OBJECT");
    }
    expect(send("PUT", "/bkt/bad", "", body + "!", {{name, value}}), 400, "BadDigest");
    expect(send("PUT", "/bkt/bad", "", body, {{name, "AAA="}}), 400,
           name == "content-md5" ? "InvalidDigest" : "InvalidRequest");
    expect(send("PUT", "/bkt/bad", "", body, {{name, "not base64"}}), 400,
           name == "content-md5" ? "InvalidDigest" : "InvalidRequest");
  }
  expect(send("GET", "/bkt/bad"), 404, "NoSuchKey");
  EXPECT_EQ(send("PUT", "/bkt/k", "", body, sums)->status, 200);  // all of them at once
  expect(send("PUT", "/bkt/k", "", body, {{"x-amz-sdk-checksum-algorithm", "CRC32"}}), 400, "InvalidRequest");
  expect(send("PUT", "/bkt/k", "", body, {{"x-amz-sdk-checksum-algorithm", "FOO"}}), 400, "InvalidRequest");
  expect(send("PUT", "/bkt/k", "", body, {{"x-amz-sdk-checksum-algorithm", "CRC32"}, sums[0]}), 200);
}

TEST_F(S3, ChunkedUploadsWithTrailersAreDecodedAndVerified) {
  make_bucket();
  const std::string body = os::FakeRandom(4).bytes(200'000);
  auto chunked = [](const std::string& data, const std::string& trailer) {
    std::string out;
    for (size_t at = 0; at < data.size(); at += 65536) {
      const std::string part = data.substr(at, 65536);
      char size[20];
      snprintf(size, sizeof size, "%zx", part.size());
      out += std::string(size) + "\r\n" + part + "\r\n";
    }
    return out + "0\r\n" + trailer + "\r\n";
  };
  auto put = [&](const std::string& sent, const std::string& length) {
    return send("PUT", "/bkt/k", "", sent,
                {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                 {"x-amz-decoded-content-length", length},
                 {"x-amz-trailer", "x-amz-checksum-crc32"},
                 {"x-amz-sdk-checksum-algorithm", "CRC32"},
                 {"content-encoding", "aws-chunked"}});
  };
  const std::string good = "x-amz-checksum-crc32:" + crc32_of(body) + "\r\n", size = std::to_string(body.size());
  expect(put(chunked(body, good), size), 200);
  auto get = send("GET", "/bkt/k", "", "", {{"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_TRUE(get->body == body);
  EXPECT_EQ(header(*get, "x-amz-checksum-crc32"), crc32_of(body));
  EXPECT_EQ(header(*get, "content-encoding"), "");
  const size_t before = writes();
  expect(put(chunked(body, "x-amz-checksum-crc32:AAAAAA==\r\n"), size), 400, "BadDigest");
  EXPECT_EQ(put(chunked(body, ""), size)->status, 400);
  EXPECT_EQ(put(chunked(body, good), "199999")->status, 400);
  EXPECT_EQ(put(chunked(body, good).substr(0, 100'000), size)->status, 400);
  std::string flipped = chunked(body, good);
  flipped[1000] ^= 1;
  expect(put(flipped, size), 400, "BadDigest");
  EXPECT_EQ(writes(), before);  // nothing was stored, and nothing says so
  EXPECT_TRUE(send("GET", "/bkt/k")->body == body);
  objects_->collect();
  size_t files = 0;
  const auto folders = site_.fs.list("/state/objects");
  for (const auto& f : *folders) files += site_.fs.list("/state/objects/" + f)->size();
  EXPECT_EQ(files, 1u);
}

TEST_F(S3, PartsBecomeOneObject) {
  make_bucket();
  const std::string one = os::FakeRandom(1).bytes(5 << 20), two = os::FakeRandom(2).bytes(5 << 20), three = "the rest";
  auto start = [&](Headers headers = {}) {
    auto e = send("POST", "/bkt/big/k", "uploads", "", std::move(headers));
    expect(e, 200);
    return texts(*e, "UploadId");
  };
  auto put = [&](const std::string& id, int number, const std::string& body) {
    return send("PUT", "/bkt/big/k", "partNumber=" + std::to_string(number) + "&uploadId=" + id + "&x-id=UploadPart",
                body, {{"x-amz-checksum-crc32", crc32_of(body)}});
  };
  auto part = [](int number, const std::string& etag) {
    return "<Part><ETag>" + etag + "</ETag><PartNumber>" + std::to_string(number) + "</PartNumber></Part>";
  };
  auto finish = [&](const std::string& id, const std::string& parts, Headers headers = {}) {
    return send("POST", "/bkt/big/k", "uploadId=" + id,
                "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>", std::move(headers));
  };
  const std::string id = start({{"x-amz-checksum-algorithm", "CRC32"}, {"content-type", "a/b"}, {"x-amz-meta-m", "v"}});
  std::vector<std::string> etags;
  int number = 0;
  for (const std::string& body : {one, two, three}) {
    auto e = put(id, ++number * 10, body);
    expect(e, 200);
    EXPECT_EQ(header(*e, "x-amz-checksum-crc32"), crc32_of(body));
    etags.push_back(header(*e, "etag"));
  }
  expect(send("GET", "/bkt/big/k"), 404, "NoSuchKey");  // not before it is complete
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2"), "Key"), "");
  EXPECT_EQ(texts(*send("GET", "/"), "Name"), "bkt");  // where parts lie is nobody's bucket
  expect(send("GET", "/%21parts", "list-type=2"), 404, "NoSuchBucket");
  auto listed = send("GET", "/bkt/big/k", "uploadId=" + id + "&max-parts=2");
  EXPECT_EQ(texts(*listed, "PartNumber"), "10 20");
  EXPECT_EQ(texts(*listed, "NextPartNumberMarker"), "20");
  EXPECT_EQ(texts(*listed, "IsTruncated"), "true");
  EXPECT_EQ(texts(*listed, "ChecksumType"), "COMPOSITE");
  EXPECT_EQ(texts(*send("GET", "/bkt/big/k", "uploadId=" + id + "&part-number-marker=20"), "PartNumber"), "30");
  EXPECT_EQ(texts(*send("GET", "/bkt", "uploads"), "UploadId"), id);
  EXPECT_EQ(texts(*send("GET", "/bkt", "uploads&delimiter=%2F"), "Prefix"), "big/");
  // What does not fit together is refused, and the upload stays.
  expect(finish(id, part(10, etags[0]) + part(20, etags[0])), 400, "InvalidPart");
  expect(finish(id, part(10, etags[0]) + part(40, etags[0])), 400, "InvalidPart");
  expect(finish(id, part(20, etags[1]) + part(10, etags[0])), 400, "InvalidPartOrder");
  expect(finish(id, part(20, etags[1]) + part(30, etags[2]) + part(30, etags[2])), 400, "InvalidPartOrder");
  expect(finish(id, ""), 400, "InvalidArgument");
  expect(finish("0123", part(10, etags[0])), 404, "NoSuchUpload");
  expect(send("POST", "/bkt/other", "uploadId=" + id,
              "<CompleteMultipartUpload>" + part(10, etags[0]) + "</CompleteMultipartUpload>"),
         404, "NoSuchUpload");
  const std::string all = part(10, etags[0]) + part(20, etags[1]) + part(30, etags[2]);
  expect(finish(id, all, {{"x-amz-mp-object-size", "5"}}), 400, "InvalidRequest");
  expect(finish(id, "<Part><ETag>" + etags[0] +
                        "</ETag><PartNumber>10</PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32>"
                        "</Part>"),
         400, "InvalidPart");
  auto small = put(id, 25, "small");
  expect(finish(id, part(10, etags[0]) + part(25, header(*small, "etag")) + part(30, etags[2])), 400, "EntityTooSmall");
  auto done = finish(id, all);
  expect(done, 200);
  std::string digests;
  for (const std::string& body : {one, two, three}) digests += crypto::digest(crypto::Hash::md5, body);
  const std::string etag = hex(crypto::digest(crypto::Hash::md5, digests)) + "-3";
  EXPECT_EQ(texts(*done, "ETag"), "&quot;" + etag + "&quot;");
  auto get = send("GET", "/bkt/big/k", "", "", {{"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_TRUE(get->body == one + two + three);
  EXPECT_EQ(header(*get, "etag"), "\"" + etag + "\"");
  EXPECT_EQ(header(*get, "content-type"), "a/b");
  EXPECT_EQ(header(*get, "x-amz-meta-m"), "v");
  EXPECT_EQ(header(*get, "x-amz-checksum-type"), "COMPOSITE");
  EXPECT_TRUE(header(*get, "x-amz-checksum-crc32").ends_with("-3"));
  expect(finish(id, all), 404, "NoSuchUpload");
  EXPECT_EQ(texts(*send("GET", "/bkt", "uploads"), "UploadId"), "");
  objects_->collect();
  auto files = [&] {
    size_t n = 0;
    const auto folders = site_.fs.list("/state/objects");
    for (const auto& f : *folders) n += site_.fs.list("/state/objects/" + f)->size();
    return n;
  };
  EXPECT_EQ(files(), 1u);  // the parts are gone
  // Without an algorithm: the whole has AWS's default checksum. Aborting leaves nothing.
  const std::string plain = start(), aborted = start();
  auto only = put(plain, 1, three);
  EXPECT_EQ(put(aborted, 1, one)->status, 200);
  expect(finish(plain, part(1, header(*only, "etag"))), 200);
  get = send("GET", "/bkt/big/k", "", "", {{"x-amz-checksum-mode", "ENABLED"}});
  EXPECT_EQ(get->body, three);
  EXPECT_EQ(header(*get, "x-amz-checksum-type"), "FULL_OBJECT");
  EXPECT_FALSE(header(*get, "x-amz-checksum-crc64nvme").empty());
  expect(send("DELETE", "/bkt/big/k", "uploadId=" + aborted), 204);
  expect(put(aborted, 2, three), 404, "NoSuchUpload");
  objects_->collect();
  EXPECT_EQ(files(), 1u);
  expect(send("POST", "/bkt/k", "uploads", "",
              {{"x-amz-checksum-algorithm", "SHA256"}, {"x-amz-checksum-type", "FULL_OBJECT"}}),
         400, "InvalidRequest");
  // A bucket that goes takes its unfinished uploads along.
  EXPECT_EQ(put(start(), 1, three)->status, 200);
  expect(send("DELETE", "/bkt"), 409, "BucketNotEmpty");
  EXPECT_NE(texts(*send("GET", "/bkt", "uploads"), "UploadId"), "");
  expect(send("DELETE", "/bkt/big/k"), 204);
  expect(send("DELETE", "/bkt"), 204);
  objects_->collect();
  EXPECT_EQ(files(), 0u);
}

TEST_F(S3, ABodyThatIsNotWhatWasSignedIsNotStored) {
  make_bucket();
  Request r;
  r.method = "PUT";
  r.path = "/bkt/k";
  r.body = "signed bytes";
  site_.sign(r, "s3", "AKIAone", "secret-one");
  r.body = "forged bytes";
  expect(site_.send(*gate_, r), 400, "XAmzContentSHA256Mismatch");
  expect(send("GET", "/bkt/k"), 404, "NoSuchKey");
}

TEST_F(S3, ListingsPageGroupAndEncode) {
  make_bucket();
  for (const char* key : {"a", "b/1", "b/2", "c%20d", "e%2Bf", "g/h/i"}) {
    expect(send("PUT", std::string("/bkt/") + key, "", "x"), 200);
  }
  auto all = send("GET", "/bkt", "list-type=2");
  EXPECT_EQ(texts(*all, "Key"), "a b/1 b/2 c d e+f g/h/i");
  EXPECT_EQ(texts(*all, "KeyCount"), "6");
  EXPECT_EQ(texts(*all, "MaxKeys"), "1000");
  EXPECT_EQ(texts(*all, "IsTruncated"), "false");
  EXPECT_EQ(texts(*all, "Owner"), "");
  EXPECT_NE(texts(*all, "ETag").find("&quot;"), std::string::npos);
  EXPECT_NE(all->body.find("<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"), std::string::npos);
  auto encoded = send("GET", "/bkt", "list-type=2&encoding-type=url&prefix=c%20&fetch-owner=true");
  EXPECT_EQ(texts(*encoded, "Key"), "c%20d");
  EXPECT_EQ(texts(*encoded, "EncodingType"), "url");
  EXPECT_EQ(texts(*encoded, "ID"), "111122223333");
  auto grouped = send("GET", "/bkt/", "list-type=2&delimiter=%2F");
  EXPECT_EQ(texts(*grouped, "Key"), "a c d e+f");
  EXPECT_NE(
      grouped->body.find("<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>g/</Prefix>"),
      std::string::npos);
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2&start-after=b%2F1"), "Key"), "b/2 c d e+f g/h/i");
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2&max-keys=0"), "Key"), "");
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2&max-keys=5000"), "MaxKeys"), "1000");
  for (const char* bad :
       {"max-keys=-1", "max-keys=x", "encoding-type=zip", "continuation-token=zz", "continuation-token="}) {
    expect(send("GET", "/bkt", std::string("list-type=2&") + bad), 400, "InvalidArgument");
  }
  std::string seen, token;
  for (int pages = 0; pages < 10; ++pages) {
    auto page = send("GET", "/bkt",
                     "list-type=2&delimiter=%2F&max-keys=2" + (token.empty() ? "" : "&continuation-token=" + token));
    seen += texts(*page, "Key") + "|";
    token = texts(*page, "NextContinuationToken");
    if (token.empty()) break;
  }
  EXPECT_EQ(seen, "a|c d e+f||");
  auto v1 = send("GET", "/bkt", "delimiter=%2F&max-keys=2");
  EXPECT_EQ(texts(*v1, "NextMarker"), "b/");
  EXPECT_EQ(texts(*send("GET", "/bkt", "delimiter=%2F&marker=b%2F"), "Key"), "c d e+f");
  EXPECT_EQ(texts(*v1, "ID"), "111122223333");
  auto versions = send("GET", "/bkt", "versions&max-keys=3");
  EXPECT_EQ(texts(*versions, "Key"), "a b/1 b/2");
  EXPECT_EQ(texts(*versions, "VersionId"), "null null null");
  EXPECT_EQ(texts(*versions, "IsLatest"), "true true true");
  EXPECT_EQ(texts(*versions, "NextKeyMarker"), "b/2");
  EXPECT_EQ(texts(*versions, "NextVersionIdMarker"), "null");
  auto next = send("GET", "/bkt", "versions&key-marker=b%2F2&version-id-marker=null");
  EXPECT_EQ(texts(*next, "Key"), "c d e+f g/h/i");
  expect(send("GET", "/bkt", "versions&version-id-marker=null"), 400, "InvalidArgument");
  expect(send("GET", "/none", "list-type=2"), 404, "NoSuchBucket");
}

TEST_F(S3, ManyAreDeletedAtOnceEachByItsOwnRight) {
  make_bucket();
  for (const char* key : {"a", "b", "keep/1", "c"}) expect(send("PUT", std::string("/bkt/") + key, "", "x"), 200);
  auto remove = [&](const std::string& body, Headers headers = {}) {
    if (headers.empty()) headers = {{"content-md5", base64(crypto::digest(crypto::Hash::md5, body))}};
    return send("POST", "/bkt", "delete", body, std::move(headers));
  };
  auto entry = [](const std::string& key, const std::string& more = "") {
    return "<Object><Key>" + key + "</Key>" + more + "</Object>";
  };
  user("some", "111122223333",
       R"([{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bkt/*"},)"
       R"({"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::bkt/keep/*"}])");
  as_ = "some";
  const std::string body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + entry("a") + entry("none") +
                           entry("keep/1") + entry("b", "<VersionId>null</VersionId>") +
                           entry("c", "<ETag>\"other\"</ETag>") + entry("c", "<VersionId>v1</VersionId>") + "</Delete>";
  auto e = remove(body, {{"x-amz-checksum-crc32", crc32_of(body)}, {"x-amz-sdk-checksum-algorithm", "CRC32"}});
  expect(e, 200, "AccessDenied");
  EXPECT_EQ(texts(*e, "Key"), "a none b keep/1 c c");
  EXPECT_EQ(texts(*e, "Code"), "AccessDenied InvalidArgument PreconditionFailed");
  EXPECT_EQ(site_.ledger.all.back().action, "s3:DeleteObject");
  EXPECT_EQ(site_.ledger.all.back().detail, "{\"keys\":4}");
  std::vector<std::string> told;  // each key that went has its own entry
  for (const auto& l : site_.ledger.all)
    if (l.decision == "allow" && l.action == "s3:DeleteObject" && l.detail.empty()) told.push_back(l.resource);
  EXPECT_EQ(told, (std::vector<std::string>{"arn:aws:s3:::bkt/a", "arn:aws:s3:::bkt/none", "arn:aws:s3:::bkt/b"}));
  as_ = "one";
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2"), "Key"), "c keep/1");
  auto quiet = remove("<Delete>" + entry("c") + "<Quiet>true</Quiet></Delete>");
  expect(quiet, 200);
  EXPECT_EQ(texts(*quiet, "Key"), "");
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2"), "Key"), "keep/1");
  const std::string one = "<Delete>" + entry("keep/1") + "</Delete>";
  expect(remove(one, {{"content-md5", base64(crypto::digest(crypto::Hash::md5, "else"))}}), 400, "BadDigest");
  expect(remove(one, {{"x-none", ""}}), 400, "InvalidRequest");
  expect(remove("<Delete></Delete>"), 400, "InvalidArgument");
  expect(remove("<Delete><Object></Object></Delete>"), 400, "InvalidArgument");
  expect(remove("not xml"), 400, "MalformedXML");
  expect(remove("<Delete>" + entry("keep/1", "<Size>1</Size>") + "</Delete>"), 501, "NotImplemented");
  std::string many = "<Delete>";
  for (int i = 0; i < 1001; ++i) many += entry(std::to_string(i));
  EXPECT_EQ(remove(many + "</Delete>")->status, 400);
  EXPECT_EQ(texts(*send("GET", "/bkt", "list-type=2"), "Key"), "keep/1");
  expect(send("DELETE", "/bkt/keep/1", "versionId=null"), 204);
  expect(send("DELETE", "/bkt/keep/1"), 204);  // again
  expect(send("DELETE", "/none/k"), 404, "NoSuchBucket");
}

TEST_F(S3, OneAccountDoesNotReachAnothersBuckets) {
  make_bucket();
  expect(send("PUT", "/bkt/k", "", "x"), 200);
  as_ = "two";
  expect(send("PUT", "/bkt"), 409, "BucketAlreadyExists");
  EXPECT_EQ(send("HEAD", "/bkt")->status, 403);
  for (const char* query : {"list-type=2", "", "versions", "location", "versioning"}) {
    expect(send("GET", "/bkt", query), 403, "AccessDenied");
  }
  size_t entries = site_.ledger.all.size();
  auto denied = [&](const char* action, const char* resource) {
    ASSERT_EQ(site_.ledger.all.size(), ++entries);
    EXPECT_EQ(site_.ledger.all.back().decision, "deny");
    EXPECT_EQ(site_.ledger.all.back().action, action);
    EXPECT_EQ(site_.ledger.all.back().resource, resource);
    EXPECT_EQ(site_.ledger.all.back().account, "444455556666");
  };
  expect(send("GET", "/bkt/k"), 403, "AccessDenied");
  denied("s3:GetObject", "arn:aws:s3:::bkt/k");
  EXPECT_EQ(send("HEAD", "/bkt/k")->status, 403);
  denied("s3:GetObject", "arn:aws:s3:::bkt/k");
  expect(send("PUT", "/bkt/k", "", "y"), 403, "AccessDenied");
  denied("s3:PutObject", "arn:aws:s3:::bkt/k");
  expect(send("DELETE", "/bkt/k"), 403, "AccessDenied");
  denied("s3:DeleteObject", "arn:aws:s3:::bkt/k");
  const std::string body = "<Delete><Object><Key>k</Key></Object></Delete>";
  expect(send("POST", "/bkt", "delete", body, {{"content-md5", base64(crypto::digest(crypto::Hash::md5, body))}}), 403,
         "AccessDenied");
  expect(send("DELETE", "/bkt"), 403, "AccessDenied");
  EXPECT_EQ(texts(*send("GET", "/"), "Name"), "");
  as_ = "one";
  EXPECT_EQ(send("GET", "/bkt/k")->body, "x");
  expect(send("GET", "/bkt/k", "", "", {{"x-amz-expected-bucket-owner", "444455556666"}}), 403, "AccessDenied");
  EXPECT_EQ(send("GET", "/bkt/k", "", "", {{"x-amz-expected-bucket-owner", "111122223333"}})->status, 200);
}

TEST_F(S3, PoliciesDecideByActionAndArn) {
  make_bucket();
  expect(send("PUT", "/bkt/in/k", "", "x"), 200);
  user("reader", "111122223333",
       R"([{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/in/*"},)"
       R"({"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bkt"}])");
  as_ = "reader";
  EXPECT_EQ(send("GET", "/bkt/in/k")->status, 200);
  EXPECT_EQ(send("HEAD", "/bkt/in/k")->status, 200);
  EXPECT_EQ(send("HEAD", "/bkt")->status, 200);
  EXPECT_EQ(send("GET", "/bkt", "list-type=2")->status, 200);
  expect(send("GET", "/bkt/out/k"), 403, "AccessDenied");
  expect(send("PUT", "/bkt/in/k", "", "y"), 403, "AccessDenied");
  expect(send("GET", "/"), 403, "AccessDenied");
  expect(send("GET", "/bkt", "versions"), 403, "AccessDenied");
  EXPECT_EQ(site_.ledger.all.back().decision, "deny");
}

TEST_F(S3, FaultsOfTheDiskAreClearAndLoseNothing) {
  make_bucket();
  expect(send("PUT", "/bkt/k", "", "kept"), 200);
  site_.fs.set_read_only(true);
  auto read_only = send("PUT", "/bkt/k", "", "lost");
  expect(read_only, 503, "ServiceUnavailable");
  site_.fs.set_read_only(false);
  site_.fs.set_capacity(site_.fs.used_bytes() + 1000);
  expect(send("PUT", "/bkt/k", "", std::string(100'000, 'x')), 503, "SlowDown");
  EXPECT_EQ(send("GET", "/bkt/k")->body, "kept");
  site_.fs.set_capacity(UINT64_MAX);
  expect(send("PUT", "/bkt/k", "", "new"), 200);
  EXPECT_EQ(send("GET", "/bkt/k")->body, "new");
  // A bit that flips on the disk: an error, never other bytes.
  objects_->collect();
  const auto folders = site_.fs.list("/state/objects");
  for (const auto& f : *folders) {
    const auto names = site_.fs.list("/state/objects/" + f);
    for (const auto& name : *names) ASSERT_TRUE(site_.fs.flip_bit("/state/objects/" + f + "/" + name, 3).ok());
  }
  expect(send("GET", "/bkt/k"), 500, "InternalError");
  EXPECT_FALSE(site_.log.empty());
}

}  // namespace
}  // namespace hf::api
