// A small site on the real disk for tests: a Db, a key, a ledger, in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "os/fake.h"
#include "security/ledger.h"

namespace hf::security::testing {

inline const char* const kSiteId = "0123456789abcdef";

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct TestSite {
  std::string folder;
  os::FakeClock clock;
  os::FakeRandom random;
  crypto::SigningKey key = *crypto::SigningKey::generate();
  std::unique_ptr<store::Db> db;
  std::unique_ptr<Ledger> ledger;

  explicit TestSite(const std::string& name) : folder(::testing::TempDir() + "/hf_security_" + name) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  ~TestSite() {
    close();
    std::filesystem::remove_all(folder);
  }
  std::string path() const { return folder + "/site.db"; }

  Status open() {
    db = TRY(store::Db::open(os::real_fs(), random, path()));
    ledger = TRY(Ledger::open(*db, clock, key, kSiteId));
    return {};
  }
  void close() {
    ledger.reset();
    db.reset();
  }
  Status append(const std::string& action, const std::string& detail = "") {
    clock.advance(1000);
    return ledger->append(Entry{0, "000000000001", "arn:aws:iam::000000000001:user/a", action, "arn:aws:s3:::b/k",
                                "allow", "administrator", "r-1", "127.0.0.1:9", detail});
  }
};

}  // namespace hf::security::testing
