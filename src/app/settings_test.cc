#include "app/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "app/service_unit.h"
#include "app/state.h"
#include "app/training.h"
#include "os/fake.h"

namespace hf::app {
namespace {

TEST(Settings, EachRowTakesItsFormAndItsDefault) {
  Settings s;
  for (const Setting& row : settings()) EXPECT_TRUE(s.set(row.name, row.value).ok()) << row.name;
  for (auto [name, value] : {std::pair{"isa", "mmx"},
                             {"host", "a b"},
                             {"host", "a\nExecStartPre=/bin/id"},
                             {"host", "\"a\""},
                             {"listen", "here"},
                             {"listen", "0.0.0.0:70000"},
                             {"port", "-1"},
                             {"jobs", "0"},
                             {"threads", "many"},
                             {"no-such", "1"}}) {
    auto set = s.set(name, value);
    ASSERT_FALSE(set.ok()) << name << " " << value;
    EXPECT_NE(set.error().message.find(name), std::string::npos) << set.error().message;
  }
  for (auto [name, value] : {std::pair{"isa", "avx2"}, {"host", "factory.example.org"}, {"host", "::1"}, {"isa", ""}})
    EXPECT_TRUE(s.set(name, value).ok()) << name << " " << value;
}

ServiceOptions open_at(const char* listen, const char* host, const char* cert = "", const char* key = "") {
  return {"", listen, host, cert, key};
}

TEST(ServiceUnit, OptionsAreCheckedAndFilesGetWholePaths) {
  EXPECT_TRUE(checked({}).ok());
  EXPECT_FALSE(checked(open_at("0.0.0.0:8443", "")).ok());          // the certificate needs a name
  EXPECT_FALSE(checked(open_at("0.0.0.0:443", "a.example")).ok());  // a right that the service has not
  EXPECT_FALSE(checked(open_at("0.0.0.0:8443", "a.example", "c.pem")).ok());
  EXPECT_FALSE(checked(open_at("0.0.0.0:8443", "a.example", "c:d", "k")).ok());
  auto whole = checked(open_at("0.0.0.0:8443", "a.example", "c.pem", "/k.pem"));
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(whole->cert.starts_with('/') && whole->cert.ends_with("/c.pem"));
  const std::string unit = service_unit(*whole);
  EXPECT_NE(unit.find("LoadCredential=key.pem:/k.pem\n"), std::string::npos);
  EXPECT_NE(unit.find("--cert %d/cert.pem --key %d/key.pem\n"), std::string::npos);
}

TEST(ServiceUnit, ReachesLoopbackOnlyUnlessItIsOpened) {
  EXPECT_NE(service_unit({}).find("IPAddressDeny=any\nIPAddressAllow=localhost\n"), std::string::npos);
  EXPECT_EQ(service_unit(open_at("0.0.0.0:8443", "a")).find("IPAddress"), std::string::npos);
  // What an earlier start left in settings.json does not open it.
  EXPECT_NE(service_unit({}).find("--listen \"\" --host \"\" --cert \"\" --key \"\"\n"), std::string::npos);
}

// The pid in site.json may be another process's by now; the lock's is that of who holds it.
TEST(StateLock, NamesTheSiteThatHoldsItAndNobodyElse) {
  os::FakeFs fs;
  ASSERT_TRUE(fs.make_dirs("/s").ok());
  ASSERT_TRUE(fs.write_file_atomic("/s/site.json", "{\"pid\":1}\n").ok());
  EXPECT_EQ(site_pid(fs, "/s"), 0);
  {
    auto lock = lock_state(fs, "/s", "site");
    ASSERT_TRUE(lock.ok());
    EXPECT_EQ(site_pid(fs, "/s"), getpid());
    EXPECT_EQ(lock_state(fs, "/s", "check").error().code, Code::conflict);
  }
  EXPECT_EQ(site_pid(fs, "/s"), 0);
  auto check = lock_state(fs, "/s", "check");
  ASSERT_TRUE(check.ok());
  EXPECT_EQ(site_pid(fs, "/s"), 0);
}

TEST(Walls, ThoseThatHoldAndThoseThatDoNot) {
  Walls walls = walls_of("Holds: a: b, c; d: e. Does not hold here: landlock: not (version 7); f: g.");
  EXPECT_EQ(walls.hold, (std::vector<std::string>{"a: b, c", "d: e"}));
  EXPECT_EQ(walls.missing, (std::vector<std::string>{"landlock: not (version 7)", "f: g"}));
  walls = walls_of("Holds: nothing. Does not hold here: a: b.");
  EXPECT_TRUE(walls.hold.empty());
  EXPECT_EQ(walls.missing.size(), 1u);
  EXPECT_TRUE(walls_of("").hold.empty() && walls_of("").missing.empty());
}

TEST(TrainingView, ItsCurveBeginsWithTheFirstLoss) {
  const auto progress = boost::json::parse(
      R"({"phase":"training","points":[{"step":0,"loss":0,"seconds":0},{"step":9,"loss":6.5,"seconds":1}]})");
  const TrainingView view = view_of(boost::json::parse(R"({"TrainingJobStatus":"InProgress"})"), progress);
  ASSERT_EQ(view.curve.size(), 1u);
  EXPECT_EQ(view.curve[0], (std::pair<int64_t, double>{9, 6.5}));
  EXPECT_EQ(view.seconds, 1);
}

TEST(TrainingView, IsAsFarAsItsStepsOrItsTime) {
  TrainingView view;
  EXPECT_EQ(view.fraction(), 0);
  view.status = "InProgress";
  view.steps = 100;
  view.step = 30;
  EXPECT_DOUBLE_EQ(view.fraction(), 0.3);
  view.seconds = 90;  // max_seconds ends it long before its last step
  view.seconds_left = 10;
  EXPECT_DOUBLE_EQ(view.fraction(), 0.9);
  view.status = "Completed";
  EXPECT_EQ(view.fraction(), 1);
}

}  // namespace
}  // namespace hf::app
