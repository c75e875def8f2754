// The export, and scripts/verify-evidence on it and on altered copies of it: each kind of alteration must be refused,
// also where whoever altered it could sign the manifest again.
#include "security/evidence.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <set>

#include "base/bytes.h"
#include "security/json.h"
#include "security/receipt.h"
#include "security/site_testing.h"

namespace hf::security {
namespace {

using testing::kSiteId;
using testing::read_text;
using testing::TestSite;

void write_text(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

struct Verdict {
  int status = -1;
  std::string output;
};

Verdict run_verifier(const std::string& arguments, const char* errors = "&1") {
  // One file a process: the tests run side by side.
  std::string out = ::testing::TempDir() + "/hf_verify_output." + std::to_string(getpid());
  int status = std::system(
      (std::string(HF_SOURCE_DIR) + "/scripts/verify-evidence " + arguments + " > " + out + " 2>" + errors).c_str());
  return {WEXITSTATUS(status), read_text(out)};
}

struct Evidence : TestSite {
  explicit Evidence(const std::string& name, const crypto::SigningKey* same = nullptr) : TestSite("evidence_" + name) {
    if (same) key = *crypto::SigningKey::from_pem(same->to_pem());
    check(open().ok(), "the site opens");
  }
  std::string at() const { return folder + "/evidence"; }
  std::string file(const std::string& name) const { return at() + "/" + name; }

  void infer(int number) {
    auto s = db->write([&](store::Txn& txn) -> Status {
      Receipt r;
      r.id = "rcpt-" + std::string(31, '0') + std::to_string(number);
      r.site = kSiteId;
      r.account = "000000000001";
      r.time = clock.now();
      r.model = "triage \"\xc3\xa9\"\n";
      r.sampler = R"({"temperature":0.7})";
      r.salt = random.bytes(16);
      Entry e;
      e.action = "bedrock:InvokeModel";
      e.decision = "allow";
      e.detail = R"({"receipt":")" + r.id + R"("})";
      r.ledger_index = TRY(ledger->append(txn, e));
      sign_receipt(r, key);
      return put_receipt(txn, r);
    });
    ASSERT_TRUE(s.ok()) << s.error().message;
  }

  void make(int entries, int receipts) {
    for (int i = 0; i < entries; ++i) ASSERT_TRUE(append("s3:Put" + std::to_string(i)).ok());
    for (int i = 0; i < receipts; ++i) infer(i);
    write();
  }
  void write() {
    EvidenceSource source{*db, *ledger, key, kSiteId, R"({"program":"holdfast"})"};
    auto report = export_evidence(os::real_fs(), source, clock.now(), at());
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->files.size(), 9u);
  }

  // As one could who had the site's key.
  void sign_manifest_again() {
    auto manifest = boost::json::parse(read_text(file("manifest.json"))).as_object();
    std::string text =
        std::string("holdfast-evidence-v1\n") + kSiteId + "\n" + std::to_string(manifest["time"].as_int64()) + "\n";
    boost::json::object files;
    for (const char* name : {"README.txt", "entries.jsonl", "head.json", "heads.jsonl", "proofs.jsonl",
                             "public-key.pem", "receipts.jsonl", "software.json"}) {
      std::string digest = crypto::sha256_hex(read_text(file(name)));
      files[name] = digest;
      text += std::string(name) + " " + digest + "\n";
    }
    manifest["files"] = files;
    manifest["signature"] = hex(key.sign(text));
    write_text(file("manifest.json"), canonical_json(manifest));
  }
};

TEST(Evidence, TheVerifierAcceptsWhatTheSiteWrote) {
  Evidence site("good");
  site.make(40, 3);
  auto v = run_verifier(site.at());
  EXPECT_EQ(v.status, 0) << v.output;
  EXPECT_NE(v.output.find("43 entries"), std::string::npos) << v.output;
  EXPECT_NE(v.output.find("3 receipts"), std::string::npos);
  EXPECT_NE(v.output.find("43 proofs"), std::string::npos);
  v = run_verifier(site.at() + " --json", "/dev/null");
  auto json = boost::json::parse(v.output);
  EXPECT_TRUE(json.at("ok").as_bool());
  EXPECT_EQ(json.at("head").at("root").as_string(), hex(site.ledger->head()->root));
  // Again, over what is there: the new one replaces it whole.
  // A streamed answer: its start has an entry too. Another one was cut before its end: a start, and no receipt.
  for (const char* id : {"7", "8"})
    ASSERT_TRUE(
        site.append("bedrock:InvokeModel", R"({"phase":"start","receipt":"rcpt-)" + std::string(31, '0') + id + R"("})")
            .ok());
  site.infer(7);
  site.write();
  EXPECT_EQ(run_verifier(site.at()).status, 0);
  EXPECT_FALSE(std::filesystem::exists(site.at() + ".new"));
}

TEST(Evidence, AnEmptyLogAndALongOne) {
  Evidence site("sizes");
  site.make(0, 0);
  EXPECT_EQ(run_verifier(site.at()).status, 0) << run_verifier(site.at()).output;
  ASSERT_TRUE(site.db
                  ->write([&](store::Txn& txn) -> Status {
                    for (int i = 0; i < 2500; ++i) TRY(site.ledger->append(txn, Entry{}));
                    return {};
                  })
                  .ok());
  site.write();
  auto v = run_verifier(site.at());
  EXPECT_EQ(v.status, 0) << v.output;
  EXPECT_NE(v.output.find("2500 entries"), std::string::npos);
  EXPECT_NE(v.output.find("256 proofs"), std::string::npos);
}

TEST(Evidence, AHeadThatWasKept) {
  Evidence site("kept");
  site.make(5, 0);
  std::string kept = site.folder + "/kept.json", key = site.folder + "/key.pem";
  write_text(kept, head_json(kSiteId, *site.ledger->head()));
  write_text(key, site.key.public_pem());
  EXPECT_EQ(hex(head_from_json(read_text(kept))->root), hex(site.ledger->head()->root));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(site.append("more").ok());
  site.write();
  auto v = run_verifier(site.at() + " --head " + kept + " --key " + key);
  EXPECT_EQ(v.status, 0) << v.output;

  Evidence anew("anew", &site.key);  // the same site id, and the same key, another history
  ASSERT_TRUE(anew.append("another first entry").ok());
  anew.make(8, 0);
  EXPECT_EQ(run_verifier(anew.at()).status, 0);
  v = run_verifier(anew.at() + " --head " + kept);
  EXPECT_EQ(v.status, 1);
  EXPECT_NE(v.output.find("written anew"), std::string::npos) << v.output;
  Evidence cut("cut", &site.key);
  cut.make(2, 0);
  v = run_verifier(cut.at() + " --head " + kept);
  EXPECT_EQ(v.status, 1);
  EXPECT_NE(v.output.find("was cut"), std::string::npos) << v.output;
  Evidence other("other");
  other.make(9, 0);
  EXPECT_EQ(run_verifier(other.at() + " --key " + key).status, 1);
  EXPECT_EQ(run_verifier(site.at() + " --head /nowhere").status, 2);
  EXPECT_EQ(run_verifier("/nowhere").status, 2);
}

struct Alteration {
  const char* file;
  const char* what;
  std::function<std::string(std::string)> change;
  const char* found_as;  // when the manifest was signed again; "": only the manifest guards this file
};

std::string replaced(std::string s, const std::string& from, const std::string& to) {
  size_t at = s.find(from);
  check(at != s.npos, "the text is there");
  return s.replace(at, from.size(), to);
}
std::string without_line(const std::string& s, int number) {
  size_t start = 0;
  for (int i = 0; i < number; ++i) start = s.find('\n', start) + 1;
  return s.substr(0, start) + s.substr(s.find('\n', start) + 1);
}
std::string swapped_lines(const std::string& s) {
  size_t a = s.find('\n') + 1, b = s.find('\n', a) + 1;
  return s.substr(a, b - a) + s.substr(0, a) + s.substr(b);
}
std::string flipped(std::string s, size_t at) {
  s[at] = s[at] == '0' ? '1' : '0';
  return s;
}
std::string flipped_after(const std::string& s, const std::string& mark) {
  return flipped(s, s.find(mark) + mark.size());
}

TEST(Evidence, EveryAlterationIsRefused) {
  const Alteration alterations[] = {
      {"entries.jsonl", "one word", [](auto s) { return replaced(s, "s3:Put3", "s3:Get3"); }, "another root"},
      {"entries.jsonl", "deny to allow", [](auto s) { return replaced(s, "\"allow\"", "\"deny\""); }, "another root"},
      {"entries.jsonl", "one deleted", [](auto s) { return without_line(s, 4); }, "expected entry 4"},
      {"entries.jsonl", "the last deleted", [](auto s) { return without_line(s, 7); }, "there are 7"},
      {"entries.jsonl", "two exchanged", [](auto s) { return swapped_lines(s); }, "expected entry 0"},
      {"entries.jsonl", "one added", [](auto s) { return s + "{\"index\":8}\n"; }, "has 9"},
      {"entries.jsonl", "cut in a line", [](auto s) { return s.substr(0, s.size() - 9); }, "cut off"},
      {"entries.jsonl", "a blank", [](auto s) { return replaced(s, "\"index\":2,", "\"index\":2, "); }, "another root"},
      {"entries.jsonl", "empty", [](auto) { return std::string(); }, "there are 0"},
      {"heads.jsonl", "a root", [](auto s) { return flipped_after(s, "\"root\":\""); }, "another root than this head"},
      {"heads.jsonl", "a signature", [](auto s) { return flipped_after(s, "\"signature\":\""); },
       "signature of this head"},
      {"heads.jsonl", "a time", [](auto s) { return flipped_after(s, "\"time\":17"); }, "signature of this head"},
      {"heads.jsonl", "the last deleted", [](auto s) { return without_line(s, 7); }, "not the last line"},
      {"heads.jsonl", "two exchanged", [](auto s) { return swapped_lines(s); }, "heads.jsonl"},
      {"head.json", "a root", [](auto s) { return flipped_after(s, "\"root\":\""); }, "another root than head.json"},
      {"head.json", "a size", [](auto s) { return replaced(s, "\"size\":8", "\"size\":7"); }, "head.json is over 7"},
      {"head.json", "a signature", [](auto s) { return flipped_after(s, "\"signature\":\""); },
       "signature of head.json"},
      {"head.json", "another site", [](auto s) { return replaced(s, kSiteId, "0123456789abcdee"); },
       "expected the site"},
      {"receipts.jsonl", "a model", [](auto s) { return replaced(s, "triage", "triagf"); }, "signature of receipt"},
      {"receipts.jsonl", "a signature", [](auto s) { return flipped_after(s, "\"signature\":\""); },
       "signature of receipt"},
      {"receipts.jsonl", "one deleted", [](auto s) { return without_line(s, 1); }, "is missing"},
      {"receipts.jsonl", "one twice", [](auto s) { return s + s.substr(0, s.find('\n') + 1); }, "is there twice"},
      {"receipts.jsonl", "another entry",
       [](auto s) { return replaced(s, "\"ledger_index\":5", "\"ledger_index\":6"); }, "does not name the receipt"},
      {"proofs.jsonl", "a leaf", [](auto s) { return flipped_after(s, "\"leaf\":\""); }, "its leaf is not entry"},
      {"proofs.jsonl", "a step", [](auto s) { return flipped_after(s, "\"proof\":[\""); }, "does not lead to the root"},
      {"proofs.jsonl", "none", [](auto) { return std::string(); }, "has no proof"},
      {"public-key.pem", "another key", [](auto) { return crypto::SigningKey::generate()->public_pem(); },
       "does not verify"},
      {"software.json", "a word", [](auto s) { return replaced(s, "holdfast", "holdfasd"); }, ""},
      {"README.txt", "a word", [](auto s) { return replaced(s, "only if", "even if"); }, ""},
  };
  Evidence site("altered");
  site.make(5, 3);
  ASSERT_EQ(run_verifier(site.at()).status, 0) << run_verifier(site.at()).output;
  const std::string manifest = read_text(site.file("manifest.json"));
  std::set<std::string> seen;
  for (const auto& a : alterations) {
    std::string name = std::string(a.file) + ": " + a.what, original = read_text(site.file(a.file));
    write_text(site.file(a.file), a.change(original));
    Verdict v;
    if (seen.insert(a.file).second) {  // the manifest guards each file alike
      v = run_verifier(site.at());
      EXPECT_EQ(v.status, 1) << name << ": " << v.output;
      EXPECT_NE(v.output.find(std::string(a.file) + ": its SHA-256"), std::string::npos) << name << ": " << v.output;
    }
    if (*a.found_as) {
      site.sign_manifest_again();
      v = run_verifier(site.at());
      EXPECT_EQ(v.status, 1) << name << ": " << v.output;
      EXPECT_EQ(v.output.find("its SHA-256"), std::string::npos) << name << ": " << v.output;
      EXPECT_NE(v.output.find(a.found_as), std::string::npos) << name << ": " << v.output;
    }
    write_text(site.file(a.file), original);
    write_text(site.file("manifest.json"), manifest);
  }
  for (const char* mark : {"\"signature\":\"", "\"time\":1", "\"site\":\""}) {
    write_text(site.file("manifest.json"), flipped_after(manifest, mark));
    EXPECT_EQ(run_verifier(site.at()).status, 1) << mark;
  }
  write_text(site.file("manifest.json"), manifest);
  for (const char* gone : {"entries.jsonl", "receipts.jsonl", "README.txt", "public-key.pem", "manifest.json"}) {
    std::string text = read_text(site.file(gone));
    std::filesystem::remove(site.file(gone));
    EXPECT_EQ(run_verifier(site.at()).status, 1) << gone;
    write_text(site.file(gone), text);
  }
  write_text(site.file("more.txt"), "x");
  EXPECT_EQ(run_verifier(site.at()).status, 1);
  std::filesystem::remove(site.file("more.txt"));
  EXPECT_EQ(run_verifier(site.at()).status, 0);
}

TEST(Evidence, HeadsAreParsedStrictly) {
  Head head{3, std::string(32, 'r'), 5, std::string(64, 's')};
  std::string good = head_json(kSiteId, head);
  EXPECT_EQ(head_from_json(good)->size, 3u);
  for (const std::string& bad :
       {std::string("[]"), replaced(good, "\"size\":3", "\"size\":-3"), replaced(good, "7272", "72"),
        replaced(good, "\"root\"", "\"boot\""), replaced(good, "\"time\":5", "\"time\":\"5\"")})
    EXPECT_FALSE(head_from_json(bad).ok()) << bad;
}

}  // namespace
}  // namespace hf::security
