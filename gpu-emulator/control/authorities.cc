#include "gpu-emulator/control/authorities.h"

#include <set>

#include "base/file.h"
#include "gpu-emulator/identity/device_pki.h"
#include "gpu-emulator/identity/snp_identity.h"
#include "gpu-emulator/identity/tdx_identity.h"
#include "gpu-emulator/platform/vtpm_guest.h"

namespace ccgpu::emulator {
namespace {

constexpr size_t kMaxFile = 1 << 16;

std::string FlatName(std::string name) {
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "__");
  return name;
}

Status ImportFile(const std::string& from, const std::string& to, mode_t mode) {
  if (!Exists(from)) {
    return Err("identity.no-authority", from,
               "this authority is missing; make all of them with ccgpu-emulator --identities-only --profile as here");
  }
  ASSIGN_OR_RETURN(std::string given, ReadFile(from, kMaxFile));
  Status done = Ok();
  if (Exists(to)) {
    ASSIGN_OR_RETURN(std::string present, ReadFile(to, kMaxFile));
    if (present != given) {
      done = Err("identity.other-authority", to,
                 "is another authority than " + from +
                     "; give the authorities that this state folder was made with, or an empty folder");
    }
    Wipe({reinterpret_cast<uint8_t*>(present.data()), present.size()});
  } else {
    done = WriteFileAtomic(to, given, mode);
  }
  Wipe({reinterpret_cast<uint8_t*>(given.data()), given.size()});
  return done;
}

}  // namespace

std::vector<std::string> AuthorityNames(const std::string& chip) {
  std::vector<std::string> names;
  for (const std::string& issuer : {std::string("device-root"), chip + "-identity", chip + "-provisioner",
                                    std::string("rim-root"), chip + "-rim-ca", chip + "-rim-l3"}) {
    names.push_back("vendor/" + issuer);
    names.push_back("vendor/" + issuer + "-ocsp");
  }
  names.push_back("vendor/" + chip + "-rim-signer");
  for (const char* name : {"amd/ark", "amd/ask", "intel/root", "intel/platform-ca", "intel/tcb-signing",
                           "vtpm/vtpm-root", "vtpm/vtpm-attestation-ca"}) {
    names.emplace_back(name);
  }
  return names;
}

Status MakeAuthorities(const std::string& state, const std::string& profile, TimePoint now) {
  ASSIGN_OR_RETURN(const Profile chosen, LoadProfile(profile));
  std::set<std::string> chips = {chosen.chip};
  for (const std::string& name : BuiltinProfileNames()) {
    ASSIGN_OR_RETURN(const Profile builtin, LoadProfile(name));
    chips.insert(builtin.chip);
  }
  RETURN_IF_ERROR(MakeDirs(state, 0700));
  RETURN_IF_ERROR(MakeDirs(state + "/roots", 0755));
  const auto write = [&](const char* name, const crypto::Certificate& root) {
    return WriteFileAtomic(state + "/roots/" + name + "-root.pem", root.Pem());
  };
  for (const std::string& chip : chips) {
    ASSIGN_OR_RETURN(const DevicePki pki, LoadOrMakeDevicePki(state + "/vendor", chip, now));
    RETURN_IF_ERROR(write("device", pki.root.authority.certificate));
    RETURN_IF_ERROR(write("rim", pki.rim_root.authority.certificate));
  }
  ASSIGN_OR_RETURN(const AmdAuthority amd, LoadOrMakeAmdAuthority(state + "/amd", now));
  RETURN_IF_ERROR(write("amd", amd.ark.certificate));
  ASSIGN_OR_RETURN(const IntelAuthority intel, LoadOrMakeIntelAuthority(state + "/intel", now));
  RETURN_IF_ERROR(write("intel", intel.root.certificate));
  ASSIGN_OR_RETURN(const VtpmIdentity vtpm, LoadOrMakeVtpmIdentity(state + "/vtpm", now));
  return write("tpm", vtpm.root.certificate);
}

Status ImportAuthorities(const std::string& from, const std::string& state, const std::string& chip) {
  RETURN_IF_ERROR(MakeDirs(state, 0700));
  for (const char* folder : {"/vendor", "/amd", "/intel", "/vtpm"}) RETURN_IF_ERROR(MakeDirs(state + folder, 0700));
  for (const std::string& name : AuthorityNames(chip)) {
    // The key first: a certificate without its key would be "damaged" for ever.
    RETURN_IF_ERROR(ImportFile(from + "/" + FlatName(name) + ".key", state + "/" + name + ".key", 0600));
    RETURN_IF_ERROR(ImportFile(from + "/" + FlatName(name) + ".pem", state + "/" + name + ".pem", 0644));
  }
  return Ok();
}

}  // namespace ccgpu::emulator
