// A store for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/crypto/digest.h"
#include "base/testing/temp_dir.h"
#include "key-broker/store/attestations.h"
#include "key-broker/store/ledger.h"
#include "key-broker/store/object_store.h"

namespace ccgpu::broker {

struct TestStore {
  explicit TestStore(const std::string& path, uint8_t key_byte = 7) : keys(DeriveStoreKeys(Bytes(32, key_byte))) {
    auto opened = Database::Open(path);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().ToString());
    db = std::move(*opened);
    objects = std::make_unique<ObjectStore>(*db, keys, random);
    ledger = std::make_unique<Ledger>(*db, keys);
    attestations = std::make_unique<Attestations>(*db, keys, random);
  }
  crypto::SystemRandom random;
  StoreKeys keys;
  std::unique_ptr<Database> db;
  std::unique_ptr<ObjectStore> objects;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Attestations> attestations;
};

}  // namespace ccgpu::broker
