// Doors with a real doorkeeper, real sockets and a real database; the ledger is real too.
#include "fleet/doors.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "os/fake.h"
#include "os/thread.h"

namespace hf::fleet {
namespace {

using ::testing::HasSubstr;

constexpr const char* kAccount = "111122223333";

// Answers each connection with what it was sent, in capitals for the ear of the test.
class Outside {
 public:
  Outside() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    check(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_.get(), 8) == 0 &&
              getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "a listener");
    port = ntohs(address.sin_port);
    thread_ = os::Thread("outside", [this] { run(); });
  }
  ~Outside() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  uint16_t port = 0;
  std::atomic<int> connections = 0;

 private:
  void run() {
    for (;;) {
      const os::Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      ++connections;
      char block[4096];
      for (ssize_t n = 0; (n = read(peer.get(), block, sizeof block)) > 0;)
        if (write(peer.get(), block, static_cast<size_t>(n)) != n) break;
    }
  }
  os::Fd listener_;
  os::Thread thread_;
};

class DoorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "the sanitizer has a thread of its own from the start";
#endif
    auto keeper = os::Doorkeeper::start(false);  // the test's own ends are in the same network
    ASSERT_TRUE(keeper.ok()) << keeper.error().message;
    keeper_ = std::move(*keeper);
    db_ = *store::Db::open(fs_, random_, "/site.db");
    ledger_ = *security::Ledger::open(*db_, clock_, key_, "0123456789abcdef");
    doors_ = *Doors::open(clock_, *db_, *ledger_, keeper_.get(), "site-1");
    char name[] = "/tmp/hf-doors-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    outside_ = std::make_unique<Outside>();
    actor_.account = kAccount;
    actor_.principal = "arn:aws:iam::111122223333:user/ada";
    actor_.resource = "arn:aws:holdfast:site-1:111122223333:job/7";
  }
  void TearDown() override {
    if (!folder_.empty()) (void)os::real_fs().remove_tree(folder_);
  }

  Door door(const std::string& name, uint16_t port) {
    Door d;
    d.account = kAccount;
    d.name = name;
    d.to = {"127.0.0.1", port};
    d.created = ++created_;
    return d;
  }
  Door open(const std::string& name, uint16_t port) {
    const Door d = door(name, port);
    check(db_->write([&](store::Txn& txn) { return doors_->add(txn, d); }).ok() && doors_->opened(d).ok(), "a door");
    return d;
  }
  std::unique_ptr<DoorServer> serve(
      const Door& d, std::function<Status()> may = [] { return Status(); }) {
    auto server = doors_->serve(d, folder_ + "/" + d.name, actor_, std::move(may));
    check(server.ok(), "serve");
    return std::move(*server);
  }
  os::Fd inside(const std::string& name) {
    os::Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder_.c_str(), name.c_str());
    check(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
    return fd;
  }
  static std::string exchange(const os::Fd& fd, const std::string& text) {
    check(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
    shutdown(fd.get(), SHUT_WR);
    return all_of(fd);
  }
  static std::string all_of(const os::Fd& fd) {
    std::string out;
    char block[4096];
    for (ssize_t n = 0; (n = read(fd.get(), block, sizeof block)) > 0;) out.append(block, static_cast<size_t>(n));
    return out;
  }
  std::vector<boost::json::object> entries() {
    std::vector<boost::json::object> out;
    const auto lines = ledger_->entries(0, 1000);
    for (const auto& line : *lines) out.push_back(boost::json::parse(line).as_object());
    return out;
  }

  os::FakeClock clock_;
  os::FakeRandom random_;
  os::FakeFs fs_;
  crypto::SigningKey key_ = std::move(crypto::SigningKey::generate()).value();
  std::unique_ptr<os::Doorkeeper> keeper_;
  std::unique_ptr<store::Db> db_;
  std::unique_ptr<security::Ledger> ledger_;
  std::unique_ptr<Doors> doors_;
  std::unique_ptr<Outside> outside_;
  std::string folder_;
  security::Entry actor_;
  Micros created_ = 0;
};

TEST_F(DoorsTest, BytesGoThroughAndAreCountedAndRecorded) {
  const Door d = open("mirror", outside_->port);
  auto server = serve(d);
  const std::string text(300'000, 'x');
  const os::Fd fd = inside("mirror");
  os::Thread writer("writer", [&] {
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = write(fd.get(), text.data() + sent, text.size() - sent);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    shutdown(fd.get(), SHUT_WR);
  });
  EXPECT_EQ(all_of(fd), text);
  writer.join();
  server.reset();
  const Door after = **doors_->find(kAccount, "mirror");
  EXPECT_EQ(after.connections, 1);
  EXPECT_EQ(after.bytes_out, 300'000);
  EXPECT_EQ(after.bytes_in, 300'000);
  EXPECT_EQ(doors_->now(kAccount, "mirror").connections, 0);
  EXPECT_EQ(doors_->now(kAccount, "mirror").bytes_out, 0);
  const auto all = entries();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].at("action"), "egress:Connect");
  EXPECT_EQ(all[0].at("resource"), "arn:aws:holdfast:site-1:111122223333:egress-door/mirror");
  EXPECT_EQ(std::string(all[0].at("principal").as_string()), actor_.principal);
  EXPECT_EQ(std::string(all[0].at("detail").at("for").as_string()), actor_.resource);
  EXPECT_EQ(all[1].at("action"), "egress:Close");
  EXPECT_EQ(all[1].at("detail").at("bytes_out"), 300'000);
  // The kernel counts the segments that open and close the connection as a byte each.
  const int64_t kernel = all[1].at("detail").at("kernel_bytes_out").as_int64();
  EXPECT_TRUE(kernel >= 300'000 && kernel <= 300'002) << kernel;
}

TEST_F(DoorsTest, WhoMayNotIsNotConnected) {
  auto server = serve(open("mirror", outside_->port), [] { return fail(Code::denied, "a policy says no"); });
  EXPECT_EQ(all_of(inside("mirror")), "");
  server.reset();
  EXPECT_EQ(outside_->connections, 0);
  EXPECT_TRUE(entries().empty());
}

// If the ledger cannot be written, nothing is connected.
TEST_F(DoorsTest, NothingIsConnectedWithoutItsEntry) {
  auto server = serve(open("mirror", outside_->port));
  fs_.fail_at(1, os::FakeFs::Fault::enospc, true);
  EXPECT_EQ(all_of(inside("mirror")), "");
  server.reset();
  EXPECT_EQ(outside_->connections, 0);
}

TEST_F(DoorsTest, AClosedDoorEndsItsConnectionsAndTakesNoMore) {
  const Door d = open("mirror", outside_->port);
  auto server = serve(d);
  const os::Fd fd = inside("mirror");
  ASSERT_EQ(write(fd.get(), "a", 1), 1);
  char byte = 0;
  ASSERT_EQ(read(fd.get(), &byte, 1), 1);
  ASSERT_TRUE(db_->write([&](store::Txn& txn) -> Status {
                   TRY(doors_->remove(txn, kAccount, "mirror"));
                   return {};
                 })
                  .ok());
  doors_->closed(d);
  EXPECT_EQ(read(fd.get(), &byte, 1), 0);
  server.reset();
  EXPECT_EQ(outside_->connections, 1);
  EXPECT_FALSE(keeper_->connect(d.to, 1000).ok());
}

TEST_F(DoorsTest, OneThatIsRefusedSaysSo) {
  const Door d = open("nobody", 1);
  auto server = serve(d);
  EXPECT_EQ(all_of(inside("nobody")), "");
  server.reset();
  const auto all = entries();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(std::string(all[1].at("detail").at("failed").as_string()), HasSubstr("Connection refused"));
}

TEST_F(DoorsTest, AreThereAfterARestart) {
  const Door d = open("mirror", outside_->port);
  ASSERT_TRUE(keeper_->forget(d.to).ok());
  doors_.reset();
  doors_ = *Doors::open(clock_, *db_, *ledger_, keeper_.get(), "site-1");
  auto server = serve(**doors_->find(kAccount, "mirror"));
  EXPECT_EQ(exchange(inside("mirror"), "hello"), "hello");
}

TEST_F(DoorsTest, BadOnesAreRefused) {
  const auto code = [&](const Door& d) {
    auto done = db_->write([&](store::Txn& txn) { return doors_->add(txn, d); });
    return done.ok() ? Code::internal : done.error().code;
  };
  EXPECT_EQ(code(door("a", 80)), Code::internal);
  EXPECT_EQ(code(door("a", 80)), Code::conflict);
  for (const char* name : {"", "-a", "a-", "A", "a b", "../a", "a/b"}) EXPECT_EQ(code(door(name, 80)), Code::invalid);
  EXPECT_EQ(code(door(std::string(64, 'a'), 80)), Code::invalid);
  EXPECT_EQ(code(door("b", 0)), Code::invalid);
  for (const char* address : {"localhost", "1.2.3", "1.2.3.4.5", "0x7f.1", "::g", ""}) {
    Door d = door("b", 80);
    d.to.address = address;
    EXPECT_EQ(code(d), Code::invalid) << address;
  }
  EXPECT_EQ(doors_->list(kAccount)->size(), 1U);
  EXPECT_TRUE(doors_->list("444455556666")->empty());
}

}  // namespace
}  // namespace hf::fleet
