// Which operation is it? Decided from a request's head alone, before anyone is authenticated: what comes out also says
// in which protocol's form a refusal is told. Immutable after construction; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/errors.h"
#include "wire/path_template.h"

namespace hf::api {

// Where a request has its credentials, by their look only.
struct Credentials {
  enum class Kind { none, sigv4_header, sigv4_query, bearer, other, several } kind = Kind::none;
  std::string service;  // of the SigV4 scope
  std::string token;    // of Bearer
};
Credentials sniff(const http::RequestHead& head);

struct Match {
  bool health = false;
  const Service* service = nullptr;      // nullptr: none of ours
  const Operation* operation = nullptr;  // nullptr: `problem` says why
  std::vector<std::string> headers;      // lower-case names of the operation's header members (prefix: ends in '*')
  std::vector<std::string> parameters;   // names in the query that the operation or its route has
  wire::Pairs raw_labels;                // still percent-encoded
  bool action_in_query = false;          // aws-query by GET: the parameters are in the URL
  bool any_service = false;              // aws-query without a signature, which would name the service: Version does
  ErrorForm form;
  Error problem;
};

class Router {
 public:
  explicit Router(const std::vector<Service>& services);  // which outlive it
  // aws-query's Action is in the body: then operation is nullptr and problem.name is empty, until query_operation().
  Match match(const http::RequestHead& head, const Credentials& credentials) const;
  // After the form was read. Action and Version of it.
  void query_operation(Match& match, std::string_view action, std::string_view version) const;

 private:
  struct Row {
    const Operation* operation;
    wire::PathTemplate path;
    wire::Pairs query;  // required; an empty value: any
    std::vector<std::string> headers, parameters;
  };
  struct Table {
    const Service* service;
    std::vector<Row> rows;
  };
  const Table* table(std::string_view name) const;
  bool match_rest(const Table& table, const http::RequestHead& head, std::string_view path, const wire::Pairs& query,
                  Match& out) const;
  bool claims(const Service& service, const http::RequestHead& head, const Credentials& credentials) const;
  std::string own_path(const Service& service, const http::RequestHead& head) const;
  bool match_target(const http::RequestHead& head, Match& out) const;
  void give_operation(const Table& table, const Row& row, Match& out) const;
  std::vector<Table> tables_;
};

}  // namespace hf::api
