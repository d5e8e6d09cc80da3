#include "gpu-emulator/control/emulator.h"

#include <fcntl.h>
#include <unistd.h>

#include <future>
#include <map>

#include "base/file.h"
#include "base/lock_file.h"
#include "base/yaml.h"
#include "gpu-emulator/control/authorities.h"
#include "gpu-emulator/platform/snp_reporter.h"
#include "gpu-emulator/platform/tdx_reporter.h"
#include "gpu-emulator/platform/vtpm_reporter.h"
#include "gpu-emulator/services/pcs_routes.h"

namespace ccgpu::emulator {
namespace {

Result<Fd> LockFolder(const std::string& path) {
  ASSIGN_OR_RETURN(Fd lock, TryLockFile(path, kPredecessorsEnd, "emulator.folder"));
  if (!lock.valid())
    return Err("emulator.running", path, "another emulator uses this folder; stop it or give another --run");
  return lock;
}

// The CPU that guests are told they run on.
Result<std::unique_ptr<CpuPlatform>> PlatformNamed(const std::string& name, const SnpIdentity& chip,
                                                   const TdxIdentity& tdx, TdxFault fault) {
  std::unique_ptr<CpuPlatform> out;
  if (name == "snp") out = std::make_unique<SnpPlatform>(chip);
  if (name == "tdx") out = std::make_unique<TdxPlatform>(tdx, uint16_t{4}, fault);
  if (name == "tdx-v5") out = std::make_unique<TdxPlatform>(tdx, uint16_t{5}, fault);
  if (!out) return Err("platform.unknown", name, "expected snp, tdx, tdx-v5 or vtpm");
  return out;
}

}  // namespace

Status ReadOptionsFile(const std::string& file, const OptionsGiven& given, EmulatorOptions& options) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(file, 1u << 20));
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::Parse(text, file));
  YamlMap& map = *document;
  EmulatorOptions read;
  read.state_dir = map.String("state", false, options.state_dir);
  read.run_dir = map.String("run", false, options.run_dir);
  const int64_t gpus = map.Int("gpus", false, options.gpus);
  if (gpus < 0 || gpus > Machine::kMaxGpus) map.Fail("config.invalid", "gpus", "expected 0 to 64");
  read.profile = map.String("profile", false, options.profile);
  read.http = map.String("http", false, options.http);
  read.platform = map.String("platform", false, options.platform);
  RETURN_IF_ERROR(document.Done());
  if (!given.state) options.state_dir = read.state_dir;
  if (!given.run) options.run_dir = read.run_dir;
  if (!given.gpus) options.gpus = static_cast<uint32_t>(gpus);
  if (!given.profile) options.profile = read.profile;
  if (!given.http) options.http = read.http;
  if (!given.platform) options.platform = read.platform;
  return Ok();
}

Result<std::unique_ptr<Emulator>> Emulator::Start(const EmulatorOptions& options, const Clock& clock,
                                                  crypto::Random& random) {
  std::unique_ptr<Emulator> e(new Emulator);
  RETURN_IF_ERROR(MakeDirs(options.run_dir));
  RETURN_IF_ERROR(MakeDirs(options.state_dir, 0700));
  ASSIGN_OR_RETURN(e->lock_, LockFolder(options.run_dir + "/emulator.lock"));
  e->ready_file_ = options.run_dir + "/emulator.ready";
  unlink(e->ready_file_.c_str());
  ASSIGN_OR_RETURN(e->profile_, LoadProfile(options.profile));
  ASSIGN_OR_RETURN(const TdxFault fault, ParseTdxFault(options.platform_fault));
  if (fault != TdxFault::kNone && !options.platform.starts_with("tdx"))
    return Err("platform.unknown-fault", options.platform_fault,
               "is a fault of a TDX platform; this one is " + options.platform);

  if (!options.authorities.empty())
    RETURN_IF_ERROR(ImportAuthorities(options.authorities, options.state_dir, e->profile_.chip));

  // The first start makes RSA-4096 keys; the rest goes on meanwhile.
  auto chip =
      std::async(std::launch::async, [&] { return LoadOrMakeSnpIdentity(options.state_dir + "/amd", clock.Now()); });
  ASSIGN_OR_RETURN(e->pki_, LoadOrMakeDevicePki(options.state_dir + "/vendor", e->profile_.chip, clock.Now()));
  ASSIGN_OR_RETURN(auto rims, MakeReferenceManifests(e->profile_, e->pki_));
  e->endorsements_ = std::make_unique<Endorsements>(e->pki_, std::move(rims), clock);
  ASSIGN_OR_RETURN(e->machine_, Machine::Create({options.state_dir + "/boards", options.run_dir, options.gpus},
                                                e->profile_, e->pki_, *e->endorsements_, clock, random));
  ASSIGN_OR_RETURN(e->chip_, chip.get());
  ASSIGN_OR_RETURN(e->tdx_, LoadOrMakeTdxIdentity(options.state_dir + "/intel", clock.Now()));
  e->pcs_ = std::make_unique<PcsDocuments>(e->tdx_, fault, clock);
  ASSIGN_OR_RETURN(e->vtpm_, LoadOrMakeVtpmIdentity(options.state_dir + "/vtpm", clock.Now()));
  if (options.platform == "vtpm") {
    e->cpu_ = std::make_unique<VtpmPlatform>(e->vtpm_, options.run_dir + "/vtpm", clock);
  } else {
    ASSIGN_OR_RETURN(e->cpu_, PlatformNamed(options.platform, e->chip_, e->tdx_, fault));
  }

  e->metrics_ = std::make_unique<EmulatorMetrics>(*e->machine_, e->parts_, options.platform, options.version);
  HttpService::Hooks hooks{[raw = e.get()] { return raw->Metrics(); }, [] { return true; },
                           [pcs = e->pcs_.get()](httplib::Server& server) { AddPcsRoutes(server, *pcs); }};
  hooks.rim_mirror = options.rim_mirror;
  hooks.answered = [raw = e->metrics_.get()](const std::string& path, int status) { raw->Answered(path, status); };
  ASSIGN_OR_RETURN(e->http_, HttpService::Listen(options.http, *e->endorsements_, clock, std::move(hooks)));
  e->http_url_ = e->http_->base_url();
  ASSIGN_OR_RETURN(e->control_,
                   ControlService::Listen({options.run_dir + "/emulator.sock", e->http_url_,
                                           e->tdx_.root.certificate.Pem(), e->vtpm_.root.certificate.Pem(),
                                           options.platform.substr(0, options.platform.find('-'))},  // tdx-v5 is tdx
                                          *e->machine_, e->pki_, e->chip_));
  e->parts_.gpus = e->machine_.get();
  e->parts_.cpu = e->cpu_.get();
  e->parts_.random = &random;
  ASSIGN_OR_RETURN(e->platform_, PlatformServer::Listen(options.run_dir + "/platform.sock", e->parts_));
  RETURN_IF_ERROR(WriteFileAtomic(e->ready_file_, e->http_url_ + "\n"));
  return e;
}

Emulator::~Emulator() {
  unlink(ready_file_.c_str());
  platform_.reset();
  control_.reset();
  http_.reset();
}

std::string Emulator::Metrics() const { return metrics_->Text(); }

}  // namespace ccgpu::emulator
