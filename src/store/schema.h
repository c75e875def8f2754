// The tables of the store, as migrations: number N brings a file from version N to N + 1. Only append. Other folders
// make their own tables with CREATE TABLE IF NOT EXISTS in a write(). Internal to store/.
#pragma once

namespace hf::store {

constexpr const char* kMigrations[] = {
    // 1: records, buckets, objects.
    // objects.file: 32 hex digits, the file's own random name. removed: files that no row names any more and that are
    // still to be deleted, written in the transaction that removed their row.
    R"(
CREATE TABLE records(
  kind TEXT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY(kind, account, name)) WITHOUT ROWID;
CREATE INDEX records_by_name ON records(kind, name, account);
CREATE TABLE buckets(name TEXT PRIMARY KEY NOT NULL, account TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX buckets_by_account ON buckets(account, name);
CREATE TABLE objects(
  bucket TEXT NOT NULL, key TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
  modified INTEGER NOT NULL, metadata TEXT NOT NULL, system TEXT NOT NULL, checksums TEXT NOT NULL,
  PRIMARY KEY(bucket, key)) WITHOUT ROWID;
CREATE UNIQUE INDEX objects_by_file ON objects(file);
CREATE TABLE removed(file TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
)",
};
constexpr int kSchemaVersion = sizeof kMigrations / sizeof kMigrations[0];

}  // namespace hf::store
