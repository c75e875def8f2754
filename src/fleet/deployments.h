// Deployments: SageMaker's endpoints and Bedrock's custom model deployments. Each is a record; one thread
// ("hf-deploy") loads the model of each new one and writes how that went. A restart goes on with what was being made.
//   "endpoint"                 (account, endpoint name)
//   "custom-model-deployment"  (account, id)
//   "deployment-name"          (account, name)   {"id": ...}: of custom model deployments
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/fleet.h"
#include "security/ledger.h"
#include "store/db.h"

namespace hf::fleet {

inline constexpr const char* kEndpoint = "endpoint";
inline constexpr const char* kCustomDeployment = "custom-model-deployment";

struct Deployment {
  std::string kind;  // kEndpoint | kCustomDeployment
  std::string account, name;
  std::string id;  // 12 of a-z 0-9; an endpoint's is its name
  std::string arn;
  std::string digest;      // model folder
  std::string model_name;  // registered name: in receipts
  std::string model_arn;
  std::string principal;  // who made it: in the ledger's entry of its end
  std::string config;     // endpoint: its configuration's name; else the description
  std::string variant;    // endpoint: the production variant's name
  std::string token;      // clientRequestToken, for idempotency
  std::map<std::string, std::string> tags;
  enum class State { creating, active, failed } state = State::creating;
  std::string failure;  // of failed, at most 1024 bytes
  Micros created = 0, updated = 0;
};

std::string to_json(const Deployment& deployment);
Result<Deployment> deployment_from_json(std::string_view json);

// conflict, where one of that name exists.
Status insert_deployment(store::Txn& txn, const Deployment& deployment);
Result<std::optional<Deployment>> find_deployment(store::Txn& txn, std::string_view kind, const std::string& account,
                                                  const std::string& id);
Result<std::optional<Deployment>> find_deployment_by_name(store::Txn& txn, const std::string& account,
                                                          const std::string& name);  // custom model deployments
Result<std::vector<Deployment>> deployments_of(store::Txn& txn, std::string_view kind, const std::string& account);
Result<bool> delete_deployment(store::Txn& txn, const Deployment& deployment);
Result<bool> deployed(store::Txn& txn, const std::string& digest);  // by any account

class Deployments {
 public:
  static Result<std::unique_ptr<Deployments>> open(os::Clock& clock, store::Db& db, security::Ledger& ledger,
                                                   Fleet& fleet);
  virtual ~Deployments() = default;
  virtual void wake() = 0;                           // after one was inserted
  virtual void gone(const std::string& digest) = 0;  // after one was deleted: unloads what nothing uses any more
};

}  // namespace hf::fleet
