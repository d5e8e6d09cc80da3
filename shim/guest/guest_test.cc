#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/json.h"
#include "shim/channel/fd_socket.h"
#include "shim/guest/reaper.h"
#include "shim/guest/runc.h"
#include "shim/guest/spec_rewrite.h"
#include "shim/guest/stdio.h"

namespace ccgpu::shim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kSpec[] = R"({"root": {"path": "rootfs"},
  "process": {"env": ["PATH=/bin", "CCGPU_VISIBLE_DEVICES=GPU-1", "CCGPU_GPU_UUIDS=GPU-1", "A=1"]},
  "mounts": [{"destination": "/proc"}],
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc", "path": "/proc/99/ns/ipc"},
            {"type": "uts", "path": "/proc/99/ns/uts"}, {"type": "network", "path": "/proc/99/ns/net"}]}})";

TEST(RewriteSpec, SharedNamespacesAreTheSandboxesWhateverTheHostWrote) {
  auto text =
      RewriteSpec(kSpec, {.in_pod = true, .rootfs = "/run/ccgpu/c/x/rootfs", .gpu_folder = "", .library_folder = ""});
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  Json spec = Json::parse(*text);
  std::map<std::string, std::string> namespaces;
  for (const auto& entry : spec["linux"]["namespaces"]) namespaces[entry["type"]] = entry.value("path", "");
  EXPECT_EQ(namespaces, (std::map<std::string, std::string>{{"pid", ""},
                                                            {"mount", ""},
                                                            {"ipc", "/proc/1/ns/ipc"},
                                                            {"uts", "/proc/1/ns/uts"},
                                                            {"network", "/proc/1/ns/net"}}));
  EXPECT_EQ(spec["root"]["path"], "/run/ccgpu/c/x/rootfs");
  EXPECT_THAT(spec["process"]["env"].get<std::vector<std::string>>(), ElementsAre("PATH=/bin", "A=1"));
  EXPECT_EQ(spec["mounts"].size(), 1u) << "no GPU, no driver";
}

// Under kubelet's systemd driver the path names a slice; runc without systemd would take it for a folder's name and put
// the container outside of its pod's limits.
TEST(RewriteSpec, SlicesBecomeTheFoldersThatTheyMean) {
  const auto path = [](const std::string& given, bool own) {
    const auto spec =
        RewriteSpec(R"({"linux": {"cgroupsPath": ")" + given + "\"}}", {.in_pod = true, .own_cgroups = own});
    return ParseJson(*spec, "spec")->at("linux").at("cgroupsPath").get<std::string>();
  };
  const std::string slice = "kubelet-kubepods-pod1.slice:cri-containerd:abc";
  EXPECT_EQ(path(slice, true),
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/cri-containerd-abc.scope");
  EXPECT_EQ(path(slice, false), slice);
  EXPECT_EQ(path("/kubepods/pod1/abc", true), "/kubepods/pod1/abc");
  EXPECT_EQ(path("", true), "");
}

TEST(RewriteSpec, ASharedPidNamespaceIsTheSandboxesAndOthersAreRefused) {
  auto shared = RewriteSpec(R"({"linux": {"namespaces": [{"type": "pid", "path": "/proc/99/ns/pid"}]}})",
                            {.in_pod = true, .rootfs = "/r", .gpu_folder = "", .library_folder = ""});
  ASSERT_TRUE(shared.ok());
  EXPECT_TRUE(Json::parse(*shared)["linux"]["namespaces"].empty());
  auto mount = RewriteSpec(R"({"linux": {"namespaces": [{"type": "mount", "path": "/proc/1/ns/mnt"}]}})",
                           {.in_pod = true, .rootfs = "/r", .gpu_folder = "", .library_folder = ""});
  EXPECT_EQ(mount.error().code, "oci.namespace");
}

TEST(RewriteSpec, AContainerWithAGpuGetsDriverAndLibrariesReadOnly) {
  auto text = RewriteSpec(
      kSpec, {.in_pod = true, .rootfs = "/r", .gpu_folder = "/run/ccgpu/c/x/gpu", .library_folder = "/run/ccgpu/lib"});
  ASSERT_TRUE(text.ok());
  Json spec = Json::parse(*text);
  ASSERT_EQ(spec["mounts"].size(), 3u);
  EXPECT_EQ(spec["mounts"][1]["destination"], "/run/ccgpu");
  EXPECT_THAT(spec["mounts"][2]["options"].get<std::vector<std::string>>(), testing::Contains("ro"));
  EXPECT_THAT(spec["process"]["env"].get<std::vector<std::string>>(),
              testing::Contains("LD_LIBRARY_PATH=/run/ccgpu/lib"));
  auto process = RewriteProcess(R"({"env": ["LD_LIBRARY_PATH=/opt"], "terminal": true})", false, true);
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(Json::parse(*process)["env"][0], "LD_LIBRARY_PATH=/run/ccgpu/lib:/opt");
  EXPECT_EQ(Json::parse(*process)["terminal"], false);
  EXPECT_FALSE(RewriteProcess("[]", false, false).ok());
}

TEST(Runc, TheLastErrorOfItsLogIsTheReason) {
  EXPECT_EQ(LastRuncError("{\"level\":\"info\",\"msg\":\"a\"}\n{\"level\":\"error\",\"msg\":\"b\"}\n{\"level\":"
                          "\"error\",\"msg\":\"c\"}\ngarbage\n"),
            "c");
  EXPECT_EQ(LastRuncError(""), "");
}

class LoopTest : public testing::Test {
 protected:
  LoopTest() {
    Reaper::BlockSignals();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  // The loop first: what a test left running may end at any time, and the loop then calls the reaper.
  ~LoopTest() override {
    loop_.Stop();
    thread_.join();
  }
  ttrpc::Loop loop_;
  Reaper reaper_{loop_};
  std::thread thread_;
};

TEST_F(LoopTest, ReaperTellsExitsSignalsAndMissingPrograms) {
  EXPECT_EQ(*reaper_.Run({"/bin/sh", {"sh", "-c", "exit 7"}, {}, {-1, -1, -1}, ""}), 7);
  EXPECT_EQ(*reaper_.Run({"/bin/sh", {"sh", "-c", "kill -9 $$"}, {}, {-1, -1, -1}, ""}), 137);
  EXPECT_EQ(reaper_.Run({"/no/such/program", {"x"}, {}, {}, ""}).error().code, "process.start");
  std::mutex mutex;
  std::condition_variable changed;
  int status = -1;
  auto pid = reaper_.Start({"/bin/sleep", {"sleep", "1000"}, {}, {-1, -1, -1}, ""}, [&](int value) {
    std::lock_guard lock(mutex);
    status = value;
    changed.notify_all();
  });
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(reaper_.Signal(*pid, SIGTERM).ok());
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, 10s, [&] { return status != -1; }));
  EXPECT_EQ(status, 128 + SIGTERM);
  EXPECT_EQ(reaper_.Signal(*pid, SIGTERM).error().code, "process.gone") << "the number may be another's";
  EXPECT_EQ(reaper_.Watch(*pid, [](int) {}).error().code, "process.gone");
}

TEST_F(LoopTest, ACommandSeesOnlyTheDescriptorsItWasGiven) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Fd read_end(ends[0]), write_end(ends[1]);
  Fd leak(::open("/dev/zero", O_RDONLY));  // not close-on-exec
  EXPECT_EQ(*reaper_.Run({"/bin/sh",
                          {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"},
                          {"PATH=/bin:/usr/bin"},
                          {-1, write_end.get(), -1},
                          ""}),
            0);
  write_end.Close();
  char text[256] = {};
  ASSERT_GT(::read(read_end.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "0 1 2 3 ");  // 3 is ls's own look at the folder
}

TEST_F(LoopTest, StreamsPassAllBytesThroughASlowReader) {
  int host[2];
  ASSERT_EQ(::pipe2(host, O_CLOEXEC), 0);
  Fd reader(host[0]);
  Stdio stdio(loop_);
  auto fds = stdio.MakePipes(HostStreams{Fd(), Fd(host[1]), Fd()}, false);
  ASSERT_TRUE(fds.ok());
  auto pid = reaper_.Start(
      {"/bin/sh", {"sh", "-c", "dd if=/dev/zero bs=1000 count=1000 2>/dev/null"}, {"PATH=/bin:/usr/bin"}, *fds, ""},
      [](int) {});
  ASSERT_TRUE(pid.ok());
  stdio.StartPipes();
  size_t total = 0;
  char piece[777];
  for (ssize_t n; (n = ::read(reader.get(), piece, sizeof piece)) > 0;) total += static_cast<size_t>(n);
  EXPECT_EQ(total, 1000000u);
  stdio.WaitDrained(5s);
}

TEST_F(LoopTest, AnInputThatComesLaterIsReadToItsEnd) {
  int host[2], input[2];
  ASSERT_EQ(::pipe2(host, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
  Fd reader(host[0]), writer(input[1]);
  Stdio stdio(loop_);
  auto fds = stdio.MakePipes(HostStreams{Fd(), Fd(host[1]), Fd()}, true);
  ASSERT_TRUE(fds.ok());
  auto pid = reaper_.Start({"/bin/cat", {"cat"}, {}, *fds, ""}, [](int) {});
  ASSERT_TRUE(pid.ok());
  stdio.StartPipes();
  stdio.AttachInput(Fd(input[0]));
  ASSERT_EQ(::write(writer.get(), "abc", 3), 3);
  writer.Close();
  char text[16] = {};
  size_t got = 0;
  for (ssize_t n; (n = ::read(reader.get(), text + got, sizeof text - got)) > 0;) got += static_cast<size_t>(n);
  EXPECT_STREQ(text, "abc");
}

TEST(FdSocket, CarriesDescriptorsAndCredentials) {
  auto pair = SocketPair(SOCK_SEQPACKET);
  ASSERT_TRUE(pair.ok());
  ASSERT_TRUE(WantCredentials(pair->first.get()).ok());
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(ReceiveFdMessage(pair->first.get(), 64, false).error().code, "channel.empty");
  ASSERT_TRUE(SendFdMessage(pair->second.get(), "token", {null.get(), null.get()}).ok());
  auto message = ReceiveFdMessage(pair->first.get(), 64, true);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->data, "token");
  EXPECT_EQ(message->fds.size(), 2u);
  EXPECT_EQ(message->sender, ::getpid());
  ASSERT_TRUE(SendFdMessage(pair->second.get(), std::string(65, 'x'), {}).ok());
  EXPECT_EQ(ReceiveFdMessage(pair->first.get(), 64, true).error().code, "channel.truncated");
  pair->second.Close();
  EXPECT_EQ(ReceiveFdMessage(pair->first.get(), 64, true).error().code, "channel.closed");
}

}  // namespace
}  // namespace ccgpu::shim
