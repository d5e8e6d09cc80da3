// The program itself: starts, stops, is killed, starts again.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/api/control.grpc.pb.h"
#include "gpu-emulator/platform/test_machine.h"

extern char** environ;

namespace ccgpu::emulator {
namespace {

namespace api = emulator::v1;

// A run of the program; killed at the end if it still lives.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), std::string(CCGPU_BIN_DIR) + "/ccgpu-emulator");
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], 1);
      execv(argv[0], argv.data());
      _exit(126);
    }
    output_ = Fd(ends[0]);
    close(ends[1]);
  }
  ~Program() {
    if (pid_ > 0) {
      Signal(SIGKILL);
      Wait();
    }
  }
  // The first output, or "" when it ended without any.
  std::string FirstOutput() {
    char buffer[4096];
    const ssize_t got = read(output_.get(), buffer, sizeof buffer);
    return std::string(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  }
  void Signal(int number) { kill(pid_, number); }
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  Fd output_;
};

std::string FirstUuid(const std::string& run) {
  auto stub =
      api::Control::NewStub(grpc::CreateChannel("unix:" + run + "/emulator.sock", grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  api::ListGpusResponse response;
  return stub->ListGpus(&context, {}, &response).ok() && response.gpus_size() > 0 ? response.gpus(0).uuid() : "";
}

TEST(EmulatorProgram, SurvivesAKillWithItsIdentitiesAndWithoutItsGuests) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: launching guests needs root";
  TempDir dir;
  const std::vector<std::string> arguments = {"--state", dir / "state", "--run", dir / "run", "--gpus", "1"};
  std::string uuid;
  Fd guest;
  {
    Program first(arguments);
    ASSERT_EQ(first.FirstOutput(), "ready\n");
    EXPECT_TRUE(Exists(dir / "run/emulator.ready"));
    uuid = FirstUuid(dir / "run");
    ASSERT_FALSE(uuid.empty());
    test::Client shim(dir / "run/platform.sock");
    shim.request.add_gpu_uuids(uuid);
    auto launched = shim.Launch();
    ASSERT_TRUE(launched.ok() && launched->has_launched());
    guest = Fd(static_cast<int>(syscall(SYS_pidfd_open, launched->launched().guest_pid(), 0)));
    ASSERT_TRUE(guest.valid());
    first.Signal(SIGKILL);
    first.Wait();
    pollfd p{guest.get(), POLLIN, 0};
    EXPECT_EQ(poll(&p, 1, 10000), 1) << "the guest outlived the secure processor";
  }
  EXPECT_TRUE(Exists(dir / "run/platform.sock"));  // left behind by the kill
  Program second(arguments);
  ASSERT_EQ(second.FirstOutput(), "ready\n");
  EXPECT_EQ(FirstUuid(dir / "run"), uuid);
  test::Client shim(dir / "run/platform.sock");
  shim.request.add_gpu_uuids(uuid);
  auto launched = shim.Launch();
  ASSERT_TRUE(launched.ok() && launched->has_launched());
  second.Signal(SIGTERM);
  const int status = second.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (const char* name : {"run/emulator.ready", "run/platform.sock", "run/emulator.sock", "run/gpu0.link"}) {
    EXPECT_FALSE(Exists(dir / name)) << name;
  }
}

TEST(EmulatorProgram, UsageErrorsAreExit2) {
  TempDir dir;
  const std::vector<std::vector<std::string>> kBad = {{},
                                                      {"--no-such-flag"},
                                                      {"--gpus", "65"},
                                                      {"--gpus", "x"},
                                                      {"--state", dir.path()},
                                                      {"--config", dir / "missing.yaml"}};
  for (const auto& arguments : kBad) {
    Program program(arguments);
    const int status = program.Wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
  }
  for (const char* flag : {"--help", "--version"}) {
    Program program({flag});
    EXPECT_FALSE(program.FirstOutput().empty());
    const int status = program.Wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << flag;
  }
  Program unknown({"--state", dir / "s", "--run", dir / "r", "--profile", "h900"});
  const int status = unknown.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

}  // namespace
}  // namespace ccgpu::emulator
