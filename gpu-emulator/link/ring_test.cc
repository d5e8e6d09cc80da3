#include "gpu-emulator/link/ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "gpu-emulator/link/mailbox.h"

namespace ccgpu::link {
namespace {

bool Never() { return false; }

struct Pair {
  LinkMemory memory = LinkMemory::Create("").value();
  RingWriter writer{memory, 5, false, RecordCipher(Protection::kSealed, {})};
  RingReader reader{memory, 5, false, RecordCipher(Protection::kSealed, {})};
};

TEST(Link, RefusesMemoryOfAnotherSize) {
  Pair pair;
  EXPECT_TRUE(LinkMemory::Map(Fd(::dup(pair.memory.fd()))).ok());
  EXPECT_NE(::ftruncate(pair.memory.fd(), 0), 0);  // sealed: nobody can pull the memory from under the other end
  FILE* other = std::tmpfile();
  EXPECT_EQ(LinkMemory::Map(Fd(::dup(::fileno(other)))).error().code, "link.memory");
  std::fclose(other);
}

TEST(Ring, CarriesRecordsBothEndsAtOnce) {
  Pair pair;
  constexpr int kRecords = 3000;
  std::thread producer([&] {
    for (int i = 0; i < kRecords; ++i) {
      ASSERT_TRUE(pair.writer.WaitSpace(Never, 1000).ok());
      const Bytes payload(static_cast<size_t>(i * 7 % 5000), static_cast<uint8_t>(i));
      pair.writer.Write(RecordKind::kData, payload);
    }
  });
  for (int i = 0; i < kRecords; ++i) {
    ASSERT_TRUE(pair.reader.WaitRecord(Never, 1000).ok());
    const auto header = pair.reader.Peek();
    ASSERT_TRUE(header.ok());
    ASSERT_EQ(header->length, static_cast<uint32_t>(i * 7 % 5000));
    Bytes out(header->length);
    ASSERT_TRUE(pair.reader.Take(*header, out.data()).ok());
    ASSERT_EQ(out, Bytes(header->length, static_cast<uint8_t>(i)));
  }
  producer.join();
  EXPECT_FALSE(pair.reader.HasRecord());
}

TEST(Ring, IsFullAfterItsSlots) {
  Pair pair;
  for (uint32_t i = 0; i < kSlots; ++i) {
    ASSERT_TRUE(pair.writer.HasSpace());
    pair.writer.Write(RecordKind::kCommand, {});
  }
  EXPECT_FALSE(pair.writer.HasSpace());
  EXPECT_EQ(pair.writer.WaitSpace([] { return true; }, 1000).error().code, "link.stopped");
}

TEST(Ring, WaitEndsByKick) {
  Pair pair;
  std::atomic<bool> stop = false;
  std::thread waiter(
      [&] { EXPECT_EQ(pair.reader.WaitRecord([&] { return stop.load(); }, 60000).error().code, "link.stopped"); });
  stop = true;
  pair.reader.Kick();
  waiter.join();
}

TEST(Ring, RefusesImpossibleCounts) {
  Pair pair;
  Store(pair.memory.control(5)->h2d.head, kSlots + 1);
  EXPECT_EQ(pair.reader.Peek().error().code, "link.bad-ring");
  Store(pair.memory.control(5)->h2d.head, 0xffffffff);
  EXPECT_EQ(pair.reader.Peek().error().code, "link.bad-ring");
  Store(pair.memory.control(5)->h2d.tail, 1);  // the consumer took what was never written
  EXPECT_EQ(pair.writer.WaitSpace(Never, 10).error().code, "link.bad-ring");
}

TEST(Ring, RefusesLengthsAndKindsOutsideTheSlot) {
  for (const auto& [length, kind] :
       {std::pair<uint32_t, uint32_t>{kSlotPayload + 1, 1}, {0xffffffff, 1}, {4, 0}, {4, 4}}) {
    Pair pair;
    pair.writer.Write(RecordKind::kCommand, Bytes(4));
    RecordHeader header{.length = length, .kind = kind, .counter = 1, .tag = {}};
    std::memcpy(pair.memory.at(RingOffset(5, false)), &header, sizeof header);
    EXPECT_EQ(pair.reader.Peek().error().code, "link.bad-record");
  }
}

TEST(Mailbox, CarriesRequestsAndTimesOut) {
  LinkMemory memory = LinkMemory::Create("").value();
  std::atomic<bool> stop = false;
  std::thread device([&] {
    MailboxServer server(memory);
    while (!stop) {
      auto request = server.Receive(20);
      if (!request.ok() || request->empty()) continue;  // an empty object is left unanswered
      request->push_back(0x55);
      server.Answer(*request);
    }
  });
  MailboxClient client(memory);
  for (int i = 0; i < 100; ++i) {
    const auto answer = client.Exchange(Bytes(static_cast<size_t>(i + 1), 3), 5000);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->size(), static_cast<size_t>(i + 2));
  }
  EXPECT_EQ(client.Exchange({}, 50).error().code, "link.timeout");
  EXPECT_EQ(client.Exchange(Bytes(kMailboxBytes + 1), 50).error().code, "link.too-large");
  std::vector<std::thread> many;
  for (int t = 0; t < 4; ++t) {
    many.emplace_back([&memory, t] {
      MailboxClient mine(memory);
      for (int i = 0; i < 50; ++i) {
        const auto answer = mine.Exchange(Bytes(10, static_cast<uint8_t>(t)), 10000);
        ASSERT_TRUE(answer.ok());
        EXPECT_EQ((*answer)[0], t);  // nobody gets another's answer
      }
    });
  }
  for (auto& thread : many) thread.join();
  stop = true;
  device.join();
}

TEST(Mailbox, RpcObjectsAreChecked) {
  const Bytes good = EncodeRpcObject(Bytes{1, 2, 3});
  EXPECT_TRUE(IsRpcObject(good));
  EXPECT_EQ(DecodeRpcObject(good).value(), (Bytes{1, 2, 3}));
  for (size_t i = 4; i < 12; ++i) {
    Bytes bad = good;
    bad[i] ^= 0x10;
    EXPECT_FALSE(DecodeRpcObject(bad).ok()) << i;
  }
  EXPECT_FALSE(DecodeRpcObject(ByteView(good).first(8)).ok());
}

}  // namespace
}  // namespace ccgpu::link
