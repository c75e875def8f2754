#include "rpc/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

namespace hf::rpc {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    channel = std::make_unique<Channel>(os::Fd(ends[0]));
    other = os::Fd(ends[1]);
  }
  void write_raw(std::string_view bytes) {
    ASSERT_EQ(::write(other.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  std::unique_ptr<Channel> channel;
  os::Fd other;
};

std::string header(uint32_t length, uint8_t type, uint64_t id, uint8_t descriptors) {
  std::string out;
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(length >> (8 * i)));
  out.push_back(static_cast<char>(type));
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(id >> (8 * i)));
  out.push_back(static_cast<char>(descriptors));
  return out;
}

TEST(Channel, FramesCrossInOrderAndWhole) {
  Pair pair;
  Channel peer{os::Fd(pair.other.release())};
  std::thread sender([&] {
    for (uint64_t i = 0; i < 50; ++i)
      EXPECT_TRUE(peer.send(Type::text, i, std::string(i * 40'000, static_cast<char>('a' + i % 26))).ok());
    peer.close();
  });
  for (uint64_t i = 0; i < 50; ++i) {
    auto frame = pair.channel->receive();
    ASSERT_TRUE(frame.ok() && frame->has_value());
    EXPECT_EQ((*frame)->id, i);
    EXPECT_EQ((*frame)->body, std::string(i * 40'000, static_cast<char>('a' + i % 26)));
  }
  auto end = pair.channel->receive();
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
  sender.join();
}

TEST(Channel, ManyThreadsSendWholeFrames) {
  Pair pair;
  Channel peer{os::Fd(pair.other.release())};
  std::vector<std::thread> senders;
  for (uint64_t t = 1; t <= 4; ++t)
    senders.emplace_back([&peer, t] {
      for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(peer.send(Type::text, t, std::string(5'000, static_cast<char>(t))).ok());
    });
  for (int i = 0; i < 400; ++i) {
    auto frame = pair.channel->receive();
    ASSERT_TRUE(frame.ok() && frame->has_value());
    EXPECT_EQ((*frame)->body, std::string(5'000, static_cast<char>((*frame)->id)));
  }
  for (auto& s : senders) s.join();
}

TEST(Channel, DescriptorsArriveWithTheirFrame) {
  Pair pair;
  Channel peer{os::Fd(pair.other.release())};
  std::vector<os::Fd> files;
  std::vector<int> numbers;
  for (size_t i = 0; i < kMaxDescriptors; ++i) {
    char name[] = "/tmp/hf-channel-XXXXXX";
    files.emplace_back(mkstemp(name));
    ASSERT_TRUE(files.back());
    unlink(name);
    ASSERT_EQ(write(files.back().get(), &i, 1), 1);
    numbers.push_back(files.back().get());
  }
  ASSERT_TRUE(peer.send(Type::load, 1, "two", {numbers[0], numbers[1]}).ok());
  ASSERT_TRUE(peer.send(Type::text, 2, "none").ok());
  ASSERT_TRUE(peer.send(Type::load, 3, "", numbers).ok());
  for (const size_t expected : {size_t{2}, size_t{0}, kMaxDescriptors}) {
    auto frame = pair.channel->receive();
    ASSERT_TRUE(frame.ok() && frame->has_value()) << frame.error().message;
    ASSERT_EQ((*frame)->descriptors.size(), expected);
    for (size_t i = 0; i < expected; ++i) {
      char byte = 0;
      ASSERT_EQ(pread((*frame)->descriptors[i].get(), &byte, 1, 0), 1);
      EXPECT_EQ(static_cast<size_t>(byte), i);
      EXPECT_TRUE(fcntl((*frame)->descriptors[i].get(), F_GETFD) & FD_CLOEXEC);
    }
  }
}

TEST(Channel, LimitsHoldBeforeAnythingIsSent) {
  Pair pair;
  EXPECT_EQ(pair.channel->send(Type::text, 1, std::string(kMaxFrame, 'x')).error().code, Code::too_large);
  EXPECT_EQ(pair.channel->send(Type::load, 1, "", std::vector<int>(kMaxDescriptors + 1, 0)).error().code,
            Code::too_large);
  ASSERT_TRUE(pair.channel->send(Type::text, 1, "still fine").ok());
}

// Bytes as a hostile peer would write them, then the end.
Result<std::optional<Frame>> receive_after(std::string_view bytes) {
  Pair pair;
  pair.write_raw(bytes);
  pair.other = os::Fd();
  return pair.channel->receive();
}

TEST(Channel, WrongHeadersEndTheConnection) {
  EXPECT_TRUE(receive_after(header(10, 48, 1, 0)).ok());
  EXPECT_EQ(receive_after(header(9, 48, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(0, 48, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(kMaxFrame + 1, 48, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(UINT32_MAX, 48, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(10, 0, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(10, 255, 1, 0)).error().code, Code::invalid);
  EXPECT_EQ(receive_after(header(10, 16, 1, 1)).error().code, Code::invalid);  // a descriptor that did not come
}

TEST(Channel, CutAtEveryByteIsUnavailable) {
  const std::string whole = header(15, 48, 1, 0) + "hello";
  for (size_t n = 1; n < whole.size(); ++n)
    EXPECT_EQ(receive_after(std::string_view(whole).substr(0, n)).error().code, Code::unavailable) << n;
  EXPECT_EQ((*receive_after(whole))->body, "hello");
}

TEST(Channel, ABodyThatIsOnlyAnnouncedCostsNothing) {
  // 64 MiB are announced and 5 bytes come: the end is seen after the first step of 1 MiB.
  EXPECT_EQ(receive_after(header(kMaxFrame, 48, 1, 0) + "hello").error().code, Code::unavailable);
}

TEST(Channel, UnannouncedDescriptorsAreRefused) {
  Pair pair;
  Channel peer{os::Fd(pair.other.release())};
  // Two descriptors with the header's bytes, of which the header owns to none.
  const std::string bytes = header(10, 48, 1, 0);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int numbers[2] = {0, 1};
  std::memcpy(CMSG_DATA(c), numbers, sizeof numbers);
  ASSERT_EQ(sendmsg(peer.fd(), &message, 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(pair.channel->receive().error().code, Code::invalid);
  EXPECT_FALSE(pair.channel->send(Type::text, 1).ok());
}

TEST(Channel, ByteByByteIsAFrameAllTheSame) {
  Pair pair;
  const std::string whole = header(15, 48, 77, 0) + "hello";
  std::thread writer([&] {
    for (const char byte : whole) pair.write_raw(std::string_view(&byte, 1));
  });
  auto frame = pair.channel->receive();
  writer.join();
  ASSERT_TRUE(frame.ok() && frame->has_value());
  EXPECT_EQ((*frame)->id, 77u);
}

TEST(Channel, APeerThatIsGoneIsAnErrorNotASignal) {
  Pair pair;
  pair.other = os::Fd();
  EXPECT_EQ(pair.channel->send(Type::text, 1, "x").error().code, Code::unavailable);
  EXPECT_EQ(pair.channel->send(Type::text, 1, "x").error().code, Code::unavailable);
}

TEST(Channel, APeerThatDoesNotReadIsGivenUp) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  os::Fd other(ends[1]);
  Channel channel{os::Fd(ends[0]), 10};
  EXPECT_EQ(channel.send(Type::text, 1, std::string(size_t{8} << 20, 'x')).error().code, Code::unavailable);
}

TEST(Channel, APeerThatStallsWithinAFrameIsGivenUp) {
  const std::string whole = header(15, 48, 1, 0) + "hello";
  for (const size_t n : {size_t{1}, size_t{13}, size_t{14}, size_t{18}}) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    os::Fd other(ends[1]);
    Channel channel{os::Fd(ends[0]), 10};
    ASSERT_EQ(::write(other.get(), whole.data(), n), static_cast<ssize_t>(n));
    auto frame = channel.receive();  // hangs without a limit
    ASSERT_FALSE(frame.ok()) << n;
    EXPECT_EQ(frame.error().code, Code::unavailable);
    EXPECT_NE(frame.error().message.find("stalled"), std::string::npos) << frame.error().message;
  }
}

TEST(Channel, CloseEndsABlockedReceive) {
  Pair pair;
  std::thread closer([&] { pair.channel->close(); });
  auto frame = pair.channel->receive();
  closer.join();
  ASSERT_TRUE(frame.ok());
  EXPECT_FALSE(frame->has_value());
}

}  // namespace
}  // namespace hf::rpc
