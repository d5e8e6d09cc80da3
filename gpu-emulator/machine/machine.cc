#include "gpu-emulator/machine/machine.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"

namespace ccgpu::emulator {

struct Machine::Slot {
  uint32_t index = 0;
  std::string mode_file;
  std::string mode;
  Fault fault = Fault::kNone;
  BoardIdentity original;
  std::optional<BoardIdentity> swapped;
  std::unique_ptr<BoardMeasurements> measurements;
  std::unique_ptr<device::Gpu> gpu;  // last: it uses the measurements

  const BoardIdentity& board() const { return swapped ? *swapped : original; }
};

Machine::Machine(const Profile& profile, const DevicePki& pki, Endorsements& endorsements, const Clock& clock,
                 crypto::Random& random)
    : profile_(profile), pki_(pki), endorsements_(endorsements), clock_(clock), random_(random) {}

Machine::~Machine() {
  for (auto& slot : slots_) slot->gpu->OnChange({});
}

Result<std::unique_ptr<Machine>> Machine::Create(const MachineConfig& config, const Profile& profile,
                                                 const DevicePki& pki, Endorsements& endorsements, const Clock& clock,
                                                 crypto::Random& random) {
  if (config.gpus > kMaxGpus)
    return Err("gpu.bad-config", "gpus", "at most 64 GPUs, asked for " + std::to_string(config.gpus));
  std::unique_ptr<Machine> machine(new Machine(profile, pki, endorsements, clock, random));
  for (uint32_t index = 0; index < config.gpus; ++index) RETURN_IF_ERROR(machine->AddSlot(config, index));
  return machine;
}

Status Machine::AddSlot(const MachineConfig& config, uint32_t index) {
  auto slot = std::make_unique<Slot>();
  slot->index = index;
  ASSIGN_OR_RETURN(slot->original, LoadOrMakeBoard(config.state_dir, index, pki_, profile_, clock_.Now()));
  endorsements_.Announce(slot->original);
  // The mode is the board's own, kept over restarts like the EEPROM setting of a real one.
  slot->mode_file = config.state_dir + "/" + profile_.name + "-gpu" + std::to_string(index) + "/mode";
  slot->mode = profile_.default_mode;
  if (Exists(slot->mode_file)) {
    ASSIGN_OR_RETURN(std::string kept, ReadFile(slot->mode_file, 64));
    if (kept.ends_with('\n')) kept.pop_back();
    if (!profile_.Supports(kept))
      return Err("identity.damaged", slot->mode_file,
                 "\"" + kept + "\" is no mode of profile " + profile_.name + "; remove the file to get the default");
    slot->mode = kept;
  }
  slot->measurements = std::make_unique<BoardMeasurements>(profile_, slot->original.fwid, slot->mode);
  device::GpuConfig gpu;
  gpu.index = index;
  gpu.uuid = slot->original.uuid;
  gpu.model = profile_.model;
  gpu.architecture = profile_.architecture;
  gpu.memory_bytes = profile_.memory_bytes;
  gpu.link_path = config.run_dir + "/gpu" + std::to_string(index) + ".link";
  gpu.compute_major = profile_.compute_major;
  gpu.compute_minor = profile_.compute_minor;
  gpu.sm_count = profile_.sm_count;
  gpu.driver_version = profile_.driver_version;
  gpu.vbios_version = profile_.vbios_version;
  gpu.serial = HexEncode(slot->original.pdi);
  gpu.board_id = profile_.board_id;
  ASSIGN_OR_RETURN(slot->gpu, device::Gpu::Create(std::move(gpu), *link::ParseMode(slot->mode), ResponderFor(*slot)));
  slot->gpu->OnChange([this] { Changed(); });
  slots_.push_back(std::move(slot));
  return Ok();
}

spdm::ResponderConfig Machine::ResponderFor(Slot& slot) const {
  spdm::ResponderConfig config;
  const auto& chain = slot.board().chain;
  for (auto certificate = chain.rbegin(); certificate != chain.rend(); ++certificate)
    config.chain_der.push_back(certificate->Der());
  config.key = slot.board().attestation_key;
  config.measurements = slot.measurements.get();
  config.random = &random_;
  return config;
}

Result<Machine::Slot*> Machine::SlotAt(uint32_t index) {
  if (index < slots_.size()) return slots_[index].get();
  return Err("gpu.unknown", "GPU " + std::to_string(index),
             "this machine has " + std::to_string(slots_.size()) + " GPUs, counted from 0");
}

Machine::Slot* Machine::SlotOf(const std::string& uuid) {
  for (auto& slot : slots_) {
    if (slot->original.uuid == uuid) return slot.get();
  }
  return nullptr;
}

GpuStatus Machine::StatusOf(const Slot& slot) const {
  GpuStatus status;
  status.index = slot.index;
  status.uuid = slot.original.uuid;
  status.mode = link::ModeName(slot.gpu->mode());
  status.state = link::StateName(slot.gpu->state());
  status.health_reason = slot.gpu->error_reason();
  status.healthy = status.health_reason.empty();
  status.sandbox_id = slot.gpu->sandbox_id();
  status.fault = EffectOf(slot.fault).name;
  status.numa_node = profile_.NumaNode(slot.index);
  status.counters = slot.gpu->counters();
  return status;
}

std::vector<GpuStatus> Machine::List() const {
  std::lock_guard lock(mutex_);
  std::vector<GpuStatus> list;
  for (const auto& slot : slots_) list.push_back(StatusOf(*slot));
  return list;
}

Result<GpuStatus> Machine::SetMode(uint32_t index, const std::string& mode) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Slot * slot, SlotAt(index));
  if (!profile_.Supports(mode)) {
    std::string modes;
    for (const auto& name : profile_.modes) modes += (modes.empty() ? "" : ", ") + name;
    return Err("gpu.mode-unsupported", slot->original.uuid,
               "profile " + profile_.name + " supports " + modes + "; asked for \"" + mode + "\"");
  }
  if (slot->gpu->held())
    return Err("gpu.held", slot->original.uuid,
               "sandbox " + slot->gpu->sandbox_id() + " holds it; a mode takes effect by a reset");
  RETURN_IF_ERROR(WriteFileAtomic(slot->mode_file, mode, 0600));
  slot->mode = mode;
  slot->measurements->SetMode(mode);
  slot->gpu->Reset(*link::ParseMode(mode), ResponderFor(*slot));
  return StatusOf(*slot);
}

Result<GpuStatus> Machine::Reset(uint32_t index) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Slot * slot, SlotAt(index));
  if (slot->gpu->held())
    return Err("gpu.held", slot->original.uuid,
               "sandbox " + slot->gpu->sandbox_id() + " holds it; remove the pod first");
  slot->gpu->Reset(slot->gpu->mode(), ResponderFor(*slot));
  return StatusOf(*slot);
}

Result<GpuStatus> Machine::Inject(uint32_t index, const std::string& name) {
  const auto fault = ParseFault(name);
  if (!fault) return Err("gpu.unknown-fault", name, "expected one of " + FaultNames());
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Slot * slot, SlotAt(index));
  Undo(*slot);
  RETURN_IF_ERROR(Apply(*slot, *fault));
  log::Info("fault",
            {{"gpu", slot->original.uuid}, {"fault", EffectOf(*fault).name}, {"meaning", EffectOf(*fault).meaning}});
  Changed();
  return StatusOf(*slot);
}

void Machine::Undo(Slot& slot) {
  const FaultEffect& effect = EffectOf(slot.fault);
  if (effect.changes_firmware) slot.measurements->SetFirmwareChanged(false);
  if (effect.enables_debug) slot.measurements->SetDebugEnabled(false);
  if (effect.of_board != Revocation::kNone) endorsements_.SetRevocation(slot.original, Revocation::kNone);
  if (effect.of_rim_signer != Revocation::kNone) endorsements_.SetRimSignerRevocation(Revocation::kNone);
  if (effect.drops_link) slot.gpu->SetLinkDown(false);
  if (effect.hangs) slot.gpu->SetHang(false);
  if (effect.swaps_board) {
    slot.swapped.reset();
    slot.gpu->Reset(slot.gpu->mode(), ResponderFor(slot));
  }
  slot.fault = Fault::kNone;
}

Status Machine::Apply(Slot& slot, Fault fault) {
  const FaultEffect& effect = EffectOf(fault);
  if (effect.swaps_board) {
    ASSIGN_OR_RETURN(BoardIdentity other, MakeSwappedBoard(slot.original, pki_, profile_, clock_.Now()));
    endorsements_.Announce(other);
    slot.swapped = std::move(other);
    slot.gpu->Reset(slot.gpu->mode(), ResponderFor(slot));
  }
  if (effect.changes_firmware) slot.measurements->SetFirmwareChanged(true);
  if (effect.enables_debug) slot.measurements->SetDebugEnabled(true);
  if (effect.of_board != Revocation::kNone) endorsements_.SetRevocation(slot.original, effect.of_board);
  if (effect.of_rim_signer != Revocation::kNone) endorsements_.SetRimSignerRevocation(effect.of_rim_signer);
  if (effect.drops_link) slot.gpu->SetLinkDown(true);
  if (effect.hangs) slot.gpu->SetHang(true);
  slot.fault = fault;
  return Ok();
}

Result<std::vector<LockedGpu>> Machine::Lock(const std::string& sandbox_id, const std::vector<std::string>& uuids) {
  std::lock_guard lock(mutex_);
  std::vector<Slot*> wanted;
  for (const std::string& uuid : uuids) {
    Slot* slot = SlotOf(uuid);
    if (slot == nullptr) return Err("gpu.unknown", uuid, "this machine has no such GPU");
    if (std::find(wanted.begin(), wanted.end(), slot) != wanted.end())
      return Err("gpu.already-locked", uuid, "the same GPU is asked for twice");
    wanted.push_back(slot);
  }
  for (const auto& slot : slots_) {
    if (!sandbox_id.empty() && slot->gpu->sandbox_id() == sandbox_id) {
      return Err("gpu.already-locked", slot->original.uuid, "a sandbox of the id " + sandbox_id + " holds it already");
    }
  }
  std::vector<LockedGpu> locked;
  auto give_back = [&](Error error) {
    for (size_t i = 0; i < locked.size(); ++i) wanted[i]->gpu->Release();
    return error;
  };
  for (Slot* slot : wanted) {
    auto info = slot->gpu->Lock(sandbox_id);
    if (!info.ok()) return give_back(info.error());
    LockedGpu gpu{slot->index,      slot->original.uuid,
                  info->nonce,      info->device_cert_sha384,
                  info->lock_count, Fd(fcntl(slot->gpu->link_fd(), F_DUPFD_CLOEXEC, 3))};
    const bool have_link = gpu.link.valid();
    locked.push_back(std::move(gpu));
    if (!have_link) return give_back(ErrnoError("gpu.not-usable", "cannot duplicate the link of", slot->original.uuid));
  }
  return locked;
}

void Machine::Release(const std::string& sandbox_id) {
  // Not under mutex_: scrubbing takes time, and the Gpu orders it itself.
  for (auto& slot : slots_) {
    if (slot->gpu->held() && slot->gpu->sandbox_id() == sandbox_id) slot->gpu->Release();
  }
}

std::vector<CollateralItem> Machine::Collateral(const std::vector<std::string>& uuids) {
  std::lock_guard lock(mutex_);
  std::vector<const BoardIdentity*> boards;
  for (const std::string& uuid : uuids) {
    if (Slot* slot = SlotOf(uuid)) boards.push_back(&slot->board());
  }
  return endorsements_.CollateralFor(boards);
}

void Machine::Changed() {
  std::lock_guard lock(change_mutex_);
  ++generation_;
  changed_.notify_all();
}

bool Machine::WaitForChange(uint64_t& seen, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(change_mutex_);
  const bool changed = changed_.wait_for(lock, timeout, [&] { return generation_ != seen; });
  seen = generation_;
  return changed;
}

}  // namespace ccgpu::emulator
