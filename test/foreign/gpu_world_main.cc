// One emulated GPU with everything around it that somebody else's verifier talks to: the driver's socket for
// libnvidia-ml.so.1, RIM and OCSP over HTTP, root certificates as files. For tests that drive such a verifier; our own
// verdict about the same evidence comes from the same process ("judge").
//
//   foreign-gpu-world DIR [PROFILE]      DIR: everything it writes
//
// One command a line on stdin, one JSON object a line on stdout; the first says where things are. A command that cannot
// be done answers {"error":CODE,"text":..}.
//   connect                 lock the GPU, open its session, serve DIR/driver.sock as the agent's socket
//   release                 end all that
//   fault NAME | mode NAME  as `ccgpu gpu fault`, `ccgpu gpu mode`
//   judge FILE NONCE [RIMS] our verdict on an evidence_list file; NONCE in hex; RIMS: a JSON file {id: XML} instead of
//                           the emulator's own
//   bench FILE NONCE N      N verifications each: {"cold": seconds of one, "warm": with a cache that saw the documents}
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "gpu-emulator/guest/driver/driver.h"
#include "gpu-emulator/guest/driver/driver_server.h"
#include "gpu-emulator/machine/machine.h"
#include "gpu-emulator/services/http_service.h"
#include "trust/verify/verify.h"

namespace ccgpu::emulator {
namespace {

class GpuWorld {
 public:
  static Result<std::unique_ptr<GpuWorld>> Create(const std::string& dir, const std::string& profile) {
    std::unique_ptr<GpuWorld> world(new GpuWorld);
    world->dir_ = dir;
    ASSIGN_OR_RETURN(world->profile_, LoadProfile(profile));
    ASSIGN_OR_RETURN(world->pki_, LoadOrMakeDevicePki(dir + "/vendor", world->profile_.chip, world->clock_.Now()));
    ASSIGN_OR_RETURN(auto rims, MakeReferenceManifests(world->profile_, world->pki_));
    world->endorsements_ = std::make_unique<Endorsements>(world->pki_, std::move(rims), world->clock_);
    ASSIGN_OR_RETURN(world->machine_, Machine::Create({dir + "/boards", dir, 1}, world->profile_, world->pki_,
                                                      *world->endorsements_, world->clock_, world->random_));
    ASSIGN_OR_RETURN(world->http_,
                     HttpService::Listen("127.0.0.1:0", *world->endorsements_, world->clock_, {nullptr, nullptr}));
    RETURN_IF_ERROR(WriteFileAtomic(dir + "/device_root.pem", world->pki_.root.authority.certificate.Pem(), 0600));
    RETURN_IF_ERROR(WriteFileAtomic(dir + "/rim_root.pem", world->pki_.rim_root.authority.certificate.Pem(), 0600));
    return world;
  }

  Json Places() const {
    return {{"device_root", dir_ + "/device_root.pem"}, {"rim_root", dir_ + "/rim_root.pem"},
            {"socket", dir_ + "/driver.sock"},          {"rim_url", http_->base_url() + "/v1/rim/"},
            {"ocsp_url", http_->base_url() + "/ocsp/"}, {"uuid", Status().uuid}};
  }

  Result<Json> Do(const std::string& line) {
    std::istringstream in(line);
    std::string command, first, second, third;
    in >> command >> first >> second >> third;
    if (command == "connect") return Connect();
    if (command == "release") {
      server_.reset(), driver_.reset();
      machine_->Release(kSandbox);
      return Json{{"state", Status().state}};
    }
    if (command == "fault" || command == "mode") {
      ASSIGN_OR_RETURN(GpuStatus status, command == "fault" ? machine_->Inject(0, first) : machine_->SetMode(0, first));
      return Json{{"fault", status.fault}, {"mode", status.mode}};
    }
    if (command == "judge") {
      ASSIGN_OR_RETURN(verify::Verdict verdict, Judge(first, second, third));
      return Json::parse(verdict.ToJson());
    }
    if (command == "bench") return Bench(first, second, std::max(std::atoi(third.c_str()), 1));
    return Err("input.bad-value", command, "is no command");
  }

 private:
  GpuWorld() = default;
  static constexpr char kSandbox[] = "foreign";

  GpuStatus Status() const { return machine_->List()[0]; }

  Result<Json> Connect() {
    ASSIGN_OR_RETURN(auto locked, machine_->Lock(kSandbox, {Status().uuid}));
    driver::Options options;
    options.accepted_modes = {link::Mode::kOff, link::Mode::kDevtools, link::Mode::kApm, link::Mode::kHopperCc};
    LockedGpu& gpu = locked[0];
    ASSIGN_OR_RETURN(auto opened,
                     driver::GuestDriver::Open(std::move(gpu.link),
                                               {gpu.index, gpu.uuid, gpu.lock_nonce, gpu.device_cert_sha384}, options));
    driver_ = std::move(opened);
    ASSIGN_OR_RETURN(server_,
                     driver::DriverServer::Start(
                         {.path = dir_ + "/driver.sock", .mode = 0600, .may_set_ready = true, .gpus = {driver_}}));
    return Json{{"state", Status().state}, {"mode", Status().mode}};
  }

  struct Inputs {
    std::vector<evidence::GpuEvidence> gpus;
    evidence::Collateral collateral;
    verify::GpuOptions options;
  };
  Result<Inputs> Read(const std::string& file, const std::string& nonce) const {
    Inputs in;
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, 1u << 20));
    ASSIGN_OR_RETURN(in.gpus, evidence::DeviceEvidenceFromJson(text));
    if (in.gpus.size() != 1) return Err("input.bad-value", file, "must hold the evidence of one GPU");
    ASSIGN_OR_RETURN(in.options.nonce, HexDecode(nonce));
    for (const CollateralItem& item : machine_->Collateral({Status().uuid})) {
      if (item.kind == "rim") in.collateral.rims[item.id] = ToText(item.data);
      if (item.kind == "ocsp") in.collateral.ocsp_responses.push_back(item.data);
    }
    return in;
  }
  verify::Anchors Anchors() const {
    verify::Anchors anchors;
    anchors.device_roots = {pki_.root.authority.certificate};
    anchors.rim_roots = {pki_.rim_root.authority.certificate};
    anchors.insecure_accept_emulated = true;
    return anchors;
  }

  Result<verify::Verdict> Judge(const std::string& file, const std::string& nonce, const std::string& rims) {
    ASSIGN_OR_RETURN(Inputs in, Read(file, nonce));
    if (!rims.empty()) {
      ASSIGN_OR_RETURN(std::string text, ReadFile(rims, 4u << 20));
      ASSIGN_OR_RETURN(Json documents, ParseJson(text, rims));
      in.collateral.rims.clear();
      for (const auto& [id, xml] : documents.items()) in.collateral.rims[id] = xml.get<std::string>();
    }
    return verify::VerifyGpu(evidence::Unverified(in.gpus[0]), in.collateral, Anchors(), in.options, clock_.Now());
  }

  // Cold: everything is parsed and checked within each call. The two take turns: what else the machine does hits both.
  Result<Json> Bench(const std::string& file, const std::string& nonce, int count) {
    ASSIGN_OR_RETURN(Inputs in, Read(file, nonce));
    const verify::Anchors anchors = Anchors();
    const evidence::Unverified gpu(in.gpus[0]);
    verify::Cache cache;
    RETURN_IF_ERROR(verify::VerifyGpu(gpu, in.collateral, anchors, in.options, clock_.Now(), &cache).ToStatus());
    std::chrono::duration<double> cold{0}, warm{0};
    for (int i = 0; i < 2 * count; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto verdict =
          verify::VerifyGpu(gpu, in.collateral, anchors, in.options, clock_.Now(), i % 2 == 0 ? nullptr : &cache);
      (i % 2 == 0 ? cold : warm) += std::chrono::steady_clock::now() - start;
      RETURN_IF_ERROR(verdict.ToStatus());
    }
    return Json{{"cold", cold.count() / count}, {"warm", warm.count() / count}};
  }

  std::string dir_;
  SystemClock clock_;
  crypto::SystemRandom random_;
  Profile profile_;
  DevicePki pki_;
  std::unique_ptr<Endorsements> endorsements_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<HttpService> http_;
  std::shared_ptr<driver::GuestDriver> driver_;
  std::unique_ptr<driver::DriverServer> server_;
};

void Say(const Json& value) { std::cout << value.dump() << std::endl; }
void Say(const Error& error) { Say(Json{{"error", error.code}, {"subject", error.subject}, {"text", error.text}}); }

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: foreign-gpu-world DIR [PROFILE]\n";
    return 2;
  }
  auto world = GpuWorld::Create(argv[1], argc > 2 ? argv[2] : "h100-ncc-v5");
  if (!world.ok()) {
    Say(world.error());
    return 1;
  }
  Say((*world)->Places());
  for (std::string line; std::getline(std::cin, line);) {
    auto answer = (*world)->Do(line);
    if (answer.ok()) Say(*answer);
    else Say(answer.error());
  }
  return 0;
}

}  // namespace
}  // namespace ccgpu::emulator

int main(int argc, char** argv) { return ccgpu::emulator::Main(argc, argv); }
