// The registry: named models of each account, with where they came from. Records (store/db.h):
//   "model-registry"  (account, name)  the model, as Model below
//   "model-id"        (account, id)    {"name": ...}: from an ARN's last part to the name
//   "model-shared"    ("", name)       {"account": ...}: foundation models, for all accounts
//   "artifact"        (account, "BUCKET/KEY")   which model a model.tar.gz holds, so that nobody has to parse one
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rpc/messages.h"
#include "store/db.h"

namespace hf::fleet {

struct Lineage {
  std::string training_job;       // ARN; "" for imports
  std::string data_digest;        // sha256 over the training files, hex
  std::vector<std::string> data;  // s3://bucket/key, in the order in which they were read
  std::string code_version;       // digest of the program that trained, hex
  std::string isa;                // instruction set it trained with
  std::map<std::string, std::string> hyperparameters;
  uint64_t seed = 0;
  std::map<std::string, double> metrics;  // "train:loss", ...
  bool stopped = false;                   // before its last step
  std::string imported_from;              // folder on the site's machine; "" for trained models
};

struct Model {
  std::string account, name;  // name: 1 to 63 of A-Z a-z 0-9 -
  std::string id;             // 12 of a-z 0-9
  std::string arn;
  std::string digest;  // folder in Models
  rpc::ModelCard card;
  std::string source;   // "trained" | "imported"
  bool shared = false;  // a foundation model of the site, for all accounts
  Micros created = 0;
  Lineage lineage;
};

std::string to_json(const Model& model);
Result<Model> model_from_json(std::string_view json);

// Insert: conflict if the account has a model of that name, or (shared) any account shares one of that name.
Status register_model(store::Txn& txn, const Model& model);
Result<std::optional<Model>> find_model(store::Txn& txn, const std::string& account, const std::string& name);
Result<std::optional<Model>> find_model_by_id(store::Txn& txn, const std::string& account, const std::string& id);
Result<std::optional<Model>> find_shared_model(store::Txn& txn, const std::string& name);
Result<std::vector<Model>> shared_models(store::Txn& txn);
// By name after `after`; own models only, shared ones of this account included.
Result<std::vector<Model>> models_of(store::Txn& txn, const std::string& account, const std::string& after,
                                     int64_t limit);
Result<bool> unregister_model(store::Txn& txn, const std::string& account, const std::string& name);

// What AWS's names for it look like: arn:aws:bedrock:REGION:ACCOUNT:custom-model/holdfast.decoder/ID (trained),
// .../custom-model/imported/ID, arn:aws:bedrock:REGION::foundation-model/holdfast.NAME (shared).
std::string model_arn(const Model& model, const std::string& region);
std::string new_model_id(os::Random& random);  // 12 of a-z 0-9

struct Artifact {
  std::string account, bucket, key;          // key: of a model.tar.gz, or a prefix that ends with '/' for single files
  std::string digest;                        // the model's
  std::map<std::string, std::string> etags;  // key -> ETag at the time: another one means other bytes
  std::string training_job;                  // name; "" if there is none
};
Status put_artifact(store::Txn& txn, const Artifact& artifact);
Result<std::optional<Artifact>> find_artifact(store::Txn& txn, const std::string& account, const std::string& bucket,
                                              const std::string& key);

}  // namespace hf::fleet
