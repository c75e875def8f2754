#include "engine/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace hf::engine {
namespace {

rpc::Frame frame(rpc::Type type, uint64_t id) {
  rpc::Frame out;
  out.type = type;
  out.id = id;
  return out;
}

TEST(Inbox, FramesComeInOrderThroughABoundedQueue) {
  Inbox inbox;
  constexpr uint64_t kAll = 3 * Inbox::kFrames;
  std::thread reader([&] {
    for (uint64_t id = 1; id <= kAll; ++id) EXPECT_TRUE(inbox.put(frame(rpc::Type::generate, id)));
    inbox.end("broken");
  });
  for (uint64_t id = 1; id <= kAll; ++id) {
    const auto next = inbox.take(true);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->id, id);
  }
  EXPECT_FALSE(inbox.take(true));
  EXPECT_EQ(inbox.ended(), "broken");
  reader.join();
}

TEST(Inbox, StopsAreSeenBeforeTheirTurn) {
  Inbox inbox;
  EXPECT_FALSE(inbox.told_to_stop(7));
  inbox.put(frame(rpc::Type::train, 7));
  inbox.put(frame(rpc::Type::stop, 7));
  inbox.put(frame(rpc::Type::stop, 7));
  EXPECT_TRUE(inbox.told_to_stop(7));
  EXPECT_FALSE(inbox.told_to_stop(8));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(inbox.told_to_stop(7));
    EXPECT_TRUE(inbox.take(false));
  }
  EXPECT_FALSE(inbox.told_to_stop(7));
  EXPECT_FALSE(inbox.take(false));
  inbox.end("");
  EXPECT_TRUE(inbox.told_to_stop(8));  // nobody is left to train for
}

TEST(Inbox, StoppedItTakesNoMore) {
  Inbox inbox;
  for (size_t i = 0; i < Inbox::kFrames; ++i) EXPECT_TRUE(inbox.put(frame(rpc::Type::counters, i)));
  std::thread reader([&] { EXPECT_FALSE(inbox.put(frame(rpc::Type::counters, 0))); });  // waits for room
  inbox.stop();
  reader.join();
}

}  // namespace
}  // namespace hf::engine
