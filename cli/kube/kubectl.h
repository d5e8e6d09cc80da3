// The user's own kubectl as our way to the API: its kubeconfig, contexts, logins and proxies are its business.
//
// Errors: cli.no-kubectl it cannot be started · cli.unavailable-cluster no API server answers · cli.not-found ·
// cli.forbidden · cli.kubectl-failed anything else, with kubectl's words.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"

namespace ccgpu::cli {

struct KubectlOptions {
  std::string program;                             // empty: $KUBECTL, else kubectl in PATH
  std::string kubeconfig, context, cluster, user;  // empty: not passed on
  std::string pod_namespace;                       // -n; empty: the context's
};

// A program that runs beside us; the destructor ends it. Standard input is /dev/null.
class Child {
 public:
  static Result<Child> Start(const std::vector<std::string>& words);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept = delete;
  ~Child();

  struct Finished {
    int status = -1;  // exit status; 128 + signal
    std::string out, err;
  };
  // Everything that it writes until it ends. "cli.kubectl-failed" when the time is over or it writes too much.
  Result<Finished> Wait(std::chrono::milliseconds limit);
  // The next line of standard output; nothing when it ended or the time is over: then `Wait` says what it wrote.
  Result<std::string> Line(std::chrono::milliseconds limit);

 private:
  Child(pid_t pid, Fd out, Fd err) : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}
  bool Read(Fd& fd, std::string& into);  // false: it is at its end
  int Reap();
  pid_t pid_ = -1;
  Fd out_, err_;
  std::string out_text_, err_text_;
};

// Any thread, one call at a time.
class Kubectl {
 public:
  explicit Kubectl(KubectlOptions options);

  // `words` behind "kubectl [--kubeconfig ..]"; -n is passed on unless `words` says -n or -A.
  Result<std::string> Run(const std::vector<std::string>& words) const;
  Result<Json> Get(std::vector<std::string> words) const;  // get WORDS -o json
  Result<Child> Start(const std::vector<std::string>& words) const;
  // The namespace that commands work in: -n, the context's, or default.
  Result<std::string> Namespace() const;
  // What kubectl's words on standard error mean.
  static Error ErrorOf(const std::vector<std::string>& words, const std::string& text);

 private:
  std::vector<std::string> CommandLine(const std::vector<std::string>& words) const;
  KubectlOptions options_;
};

// `kubectl port-forward` to one port of a pod or Service, on a free port of 127.0.0.1, until it is destroyed.
class PortForward {
 public:
  // `target`: pod/NAME or service/NAME.
  static Result<PortForward> Open(const Kubectl& kubectl, const std::vector<std::string>& flags,
                                  const std::string& target, int port);
  int local_port() const { return local_port_; }

 private:
  PortForward(Child child, int port) : child_(std::move(child)), local_port_(port) {}
  Child child_;
  int local_port_;
};
// "Forwarding from 127.0.0.1:40123 -> 8006"; 0 when it is another line.
int ForwardedPort(const std::string& line);

}  // namespace ccgpu::cli
