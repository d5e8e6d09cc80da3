#include "gpu-emulator/identity/key_store.h"

#include <sys/stat.h>

#include "base/file.h"

namespace ccgpu::emulator {

TimePoint NoEnd() { return TimePoint(std::chrono::seconds(253402300799)); }

Result<KeyStore> KeyStore::Open(std::string folder) {
  RETURN_IF_ERROR(MakeDirs(folder, 0700));
  if (chmod(folder.c_str(), 0700) != 0) return ErrnoError("identity.damaged", "cannot protect", folder);
  return KeyStore(std::move(folder));
}

Result<crypto::PrivateKey> KeyStore::LoadOrMakeKey(const std::string& name, crypto::KeyType type) const {
  const std::string path = Path(name + ".key");
  if (Exists(path)) {
    ASSIGN_OR_RETURN(std::string pem, ReadFile(path, 1u << 16));
    auto key = crypto::PrivateKey::FromPem(pem);
    Wipe({reinterpret_cast<uint8_t*>(pem.data()), pem.size()});
    if (!key.ok() || key->public_key().type() != type) {
      return Err(
          "identity.damaged", path,
          "it is not a private key of the expected type; restore it, or remove the whole folder to get new identities");
    }
    return std::move(*key);
  }
  crypto::PrivateKey key = crypto::PrivateKey::Generate(type);
  std::string pem = key.Pem();
  Status written = WriteFileAtomic(path, pem, 0600);
  Wipe({reinterpret_cast<uint8_t*>(pem.data()), pem.size()});
  RETURN_IF_ERROR(written);
  return key;
}

Result<Authority> KeyStore::LoadOrMake(const std::string& name, crypto::KeyType type, const Authority* issuer,
                                       const MakeSpec& spec) {
  const std::string path = Path(name + ".pem");
  const bool have_certificate = Exists(path);
  if (have_certificate && !Exists(Path(name + ".key"))) {
    return Err("identity.damaged", path,
               "its private key is missing; restore it, or remove the whole folder to get new identities");
  }
  ASSIGN_OR_RETURN(crypto::PrivateKey key, LoadOrMakeKey(name, type));
  if (!have_certificate) {
    ASSIGN_OR_RETURN(crypto::Certificate made,
                     crypto::MakeCertificate(spec(key.public_key()), issuer ? issuer->key : key,
                                             issuer ? &issuer->certificate : nullptr));
    RETURN_IF_ERROR(WriteFileAtomic(path, made.Pem()));
    return Authority{std::move(made), std::move(key)};
  }
  ASSIGN_OR_RETURN(std::string pem, ReadFile(path, 1u << 16));
  auto certificate = crypto::Certificate::FromPem(pem);
  if (!certificate.ok() || !(certificate->key() == key.public_key()) ||
      !certificate->IsSignedBy(issuer ? issuer->certificate : *certificate)) {
    return Err("identity.damaged", path,
               "certificate, key and issuer do not fit together; remove the whole folder to get new identities");
  }
  return Authority{std::move(*certificate), std::move(key)};
}

Result<std::string> KeyStore::LoadOrMakeText(const std::string& name, const std::function<std::string()>& make) {
  const std::string path = Path(name);
  if (Exists(path)) return ReadFile(path, 4096);
  std::string text = make();
  RETURN_IF_ERROR(WriteFileAtomic(path, text, 0600));
  return text;
}

}  // namespace ccgpu::emulator
