// ccgpu-broker as a process, for tests: started on a state folder, killed at will.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/crypto/x509.h"
#include "base/file.h"

namespace ccgpu::broker {

class BrokerProcess {
 public:
  BrokerProcess(const std::string& state, std::vector<std::string> more) : state_(state) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    std::vector<std::string> args = {std::string(CCGPU_BIN_DIR) + "/ccgpu-broker",
                                     "--state",
                                     state,
                                     "--listen",
                                     "127.0.0.1:0",
                                     "--ready-fd",
                                     std::to_string(ready[1])};
    args.insert(args.end(), more.begin(), more.end());
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ready[0]);
      if (FILE* log = ::fopen((state + "/log").c_str(), "a")) ::dup2(::fileno(log), 2);
      std::vector<char*> argv;
      for (auto& arg : args) argv.push_back(arg.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ready[1]);
    char line[256] = "";
    const ssize_t size = ::read(ready[0], line, sizeof line - 1);  // ends when the broker is ready, or gone
    ::close(ready[0]);
    const std::string text(line, size > 0 ? static_cast<size_t>(size) : 0);
    if (const size_t colon = text.rfind(':'); colon != std::string::npos) port_ = std::stoi(text.substr(colon + 1));
  }
  ~BrokerProcess() { Kill(SIGKILL); }

  bool ready() const { return port_ > 0; }
  int port() const { return port_; }
  // Waits for the end; gives waitpid's status.
  int Kill(int signal) {
    if (pid_ <= 0) return status_;
    ::kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    if (pid_ > 0) ::waitpid(pid_, &status_, 0);
    pid_ = -1;
    return status_;
  }
  // A client that trusts this broker's CA alone.
  std::unique_ptr<httplib::SSLClient> Client(const std::string& host = "127.0.0.1") const {
    auto client = std::make_unique<httplib::SSLClient>(host, port_);
    auto ca = ReadFile(state_ + "/tls/ca.crt");
    EXPECT_TRUE(ca.ok());
    X509_STORE* store = X509_STORE_new();  // the client frees it
    X509_STORE_add_cert(store, crypto::Certificate::FromPem(*ca)->raw());
    client->set_ca_cert_store(store);
    client->enable_server_certificate_verification(true);
    client->set_read_timeout(20);
    return client;
  }
  httplib::Headers Admin() const {
    std::string token = *ReadFile(state_ + "/admin-token");
    token.pop_back();
    return {{"Authorization", "Bearer " + token}};
  }

 private:
  std::string state_;
  pid_t pid_ = -1;
  int status_ = 0;
  int port_ = 0;
};

}  // namespace ccgpu::broker
