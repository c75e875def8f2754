#include "os/doorkeeper.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace hf::os {
namespace {

// A child each: a process can leave its network once.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) _exit(body());
  int status = 0;
  check(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  return ntohs(address.sin_port);
}

// A connection of this very process's to loopback.
int connects(uint16_t port) {
  const Fd fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

class DoorkeeperTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "the sanitizer has a thread of its own from the start";
#endif
  }
};

TEST_F(DoorkeeperTest, TheSiteReachesNobodyButThroughADoor) {
  EXPECT_EQ(in_child([] {
              auto keeper = Doorkeeper::start();
              if (!keeper.ok()) return 1;
              if (!(*keeper)->sealed()) return 77;  // says so
              auto listener = (*keeper)->listen("127.0.0.1", 0);
              if (!listener.ok()) return 2;
              const uint16_t port = port_of(listener->get());
              if (connects(port) != ENETUNREACH) return 3;
              if (!(*keeper)->end_listening().ok()) return 4;
              if ((*keeper)->listen("127.0.0.1", 0).ok()) return 5;
              const DoorAddress door{"127.0.0.1", port};
              auto none = (*keeper)->connect(door, 1000);
              if (none.ok() || none.error().code != Code::denied) return 6;
              if (!(*keeper)->allow(door).ok()) return 7;
              auto out = (*keeper)->connect(door, 1000);
              if (!out.ok()) return 8;
              const Fd in(accept(listener->get(), nullptr, nullptr));
              char byte = 0;
              if (write(out->get(), "x", 1) != 1 || read(in.get(), &byte, 1) != 1 || byte != 'x') return 9;
              if (!(*keeper)->forget(door).ok() || (*keeper)->connect(door, 1000).ok()) return 10;
              // A child of the site's is no better off.
              return in_child([&] { return connects(port) == ENETUNREACH ? 0 : 1; });
            }) % 77,
            0);
}

TEST_F(DoorkeeperTest, ErrorsAreTold) {
  EXPECT_EQ(in_child([] {
              auto started = Doorkeeper::start();
              if (!started.ok()) return 1;
              Doorkeeper& keeper = **started;
              const auto code = [](const auto& result) { return result.ok() ? Code::internal : result.error().code; };
              if (code(keeper.listen("example.org", 0)) != Code::invalid) return 2;
              if (code(keeper.listen(std::string(1000, '1'), 0)) != Code::invalid) return 3;
              auto one = keeper.listen("127.0.0.1", 0);
              if (!one.ok() || code(keeper.listen("127.0.0.1", port_of(one->get()))) != Code::conflict) return 4;
              if (code(keeper.allow({"localhost", 80})) != Code::invalid) return 5;
              if (code(keeper.allow({"127.0.0.1", 0})) != Code::invalid) return 6;
              const uint16_t port = port_of(one->get());
              *one = Fd();
              if (!keeper.end_listening().ok() || !keeper.allow({"127.0.0.1", port}).ok()) return 7;
              auto refused = keeper.connect({"127.0.0.1", port}, 1000);
              if (code(refused) != Code::unavailable) return 8;
              if (refused.error().message.find("Connection refused") == std::string::npos) return 9;
              return keeper.end_listening().ok() ? 0 : 10;
            }),
            0);
}

TEST_F(DoorkeeperTest, ADoorThatIsOpenedTwiceIsClosedTwice) {
  EXPECT_EQ(in_child([] {
              auto started = Doorkeeper::start();
              if (!started.ok()) return 1;
              Doorkeeper& keeper = **started;
              auto listener = keeper.listen("127.0.0.1", 0);
              const DoorAddress door{"127.0.0.1", port_of(listener->get())};
              if (!keeper.allow(door).ok() || !keeper.allow(door).ok() || !keeper.forget(door).ok()) return 2;
              if (!keeper.connect(door, 1000).ok()) return 3;
              if (!keeper.forget(door).ok() || keeper.connect(door, 1000).ok()) return 4;
              return keeper.forget(door).ok() ? 0 : 5;  // once too often changes nothing
            }),
            0);
}

}  // namespace
}  // namespace hf::os
