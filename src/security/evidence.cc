#include "security/evidence.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "base/bytes.h"
#include "security/json.h"
#include "security/receipt.h"

namespace hf::security {
namespace {

namespace json = boost::json;

constexpr uint64_t kPage = 1000;
constexpr size_t kBuffer = 1 << 20;

constexpr const char* kReadme =
    R"(Evidence of one Holdfast site: what it was asked, by whom, what it decided, and what its models answered with.
No prompt and no answer is in here, only digests with a salt for each receipt.

How to check it, on a machine of your own, with Python 3 and the openssl command:

    scripts/verify-evidence THIS_FOLDER
    scripts/verify-evidence THIS_FOLDER --head head-that-you-kept.json --key public-key-that-you-kept.pem

The exit status is 0 only if everything is right. The program is one file that you can read in half an hour,
and shares no code with the site. What it checks:

  1. manifest.json holds the SHA-256 of every file and is signed by the key in public-key.pem.
  2. The Merkle tree (RFC 6962, SHA-256) over the lines of entries.jsonl has the root in head.json, and the signature
     of each head in heads.jsonl is good and its root is that of the first `size` entries.
  3. Each proof in proofs.jsonl leads from its entry to that root.
  4. Each receipt in receipts.jsonl is signed, the ledger's entry that it names names it, and no receipt that the
     ledger names is missing.
  5. Where range.json is there, the folder holds a part of the log: its entries follow each other without a gap, one
     before and one after the time asked for show its edges, each has its proof, and each head is proven to be one of
     the same log (consistency.jsonl).
  6. With --head: the log is an extension of the head that you kept. Keep a head off the machine from time to time: it
     is what shows that a log was written anew by someone who had the key. With --key: the key is the one you know.

Signed texts, and the form of every file: docs/formats.md of the program.
)";

// Appends to one file, counting and hashing.
class Out {
 public:
  static Result<Out> make(os::Fs& fs, const std::string& path) {
    Out out;
    out.file_ = TRY(fs.open(path, os::Open::create_new));
    return out;
  }
  Status write(std::string_view data) {
    buffer_.append(data);
    return buffer_.size() < kBuffer ? Status() : flush();
  }
  Status line(std::string_view data) {
    buffer_.append(data).append("\n");
    return buffer_.size() < kBuffer ? Status() : flush();
  }
  Result<std::string> close() {  // its SHA-256, raw
    TRY(flush());
    TRY(file_->sync());
    return hash_.finish();
  }
  uint64_t size() const { return size_; }

 private:
  Out() : hash_(crypto::Hash::sha256) {}
  Status flush() {
    TRY(file_->write_at(size_, buffer_));
    hash_.update(buffer_);
    size_ += buffer_.size();
    buffer_.clear();
    return {};
  }
  std::unique_ptr<os::File> file_;
  crypto::Hasher hash_;
  std::string buffer_;
  uint64_t size_ = 0;
};

// The time of an entry's line.
Result<Micros> time_of(const std::string& line, uint64_t index) {
  auto entry = TRY(parse_json(line, 1 << 20, "ledger entry"));
  const json::value* time = entry.is_object() ? entry.get_object().if_contains("time") : nullptr;
  if (!time || !time->is_int64()) return fail(Code::corrupt, "ledger: entry " + std::to_string(index) + " has no time");
  return time->get_int64();
}

class Export {
 public:
  Export(os::Fs& fs, const EvidenceSource& source, std::string folder)
      : fs_(fs), source_(source), folder_(std::move(folder)) {}

  Result<EvidenceReport> run(Micros now, const EvidenceRange& range);

 private:
  Status find(const EvidenceRange& range);
  Status consistency(Out& out);
  Status file(const std::string& name, const std::function<Status(Out&)>& fill);
  Status entries(Out& out);
  Status heads(Out& out);
  Status add_head(Out& out, const Head& head);
  Status receipts(Out& out);
  Status proofs(Out& out);
  std::string manifest(Micros now) const;

  os::Fs& fs_;
  const EvidenceSource& source_;
  const std::string folder_;
  std::map<std::string, std::string> digests_;  // by name, hex
  EvidenceReport report_;
  bool whole_ = true;
  uint64_t end_ = 0;  // entries from report_.first to before end_
  std::vector<Head> range_heads_;
};

Status Export::file(const std::string& name, const std::function<Status(Out&)>& fill) {
  auto out = TRY(Out::make(fs_, folder_ + "/" + name));
  TRY(fill(out));
  digests_[name] = hex(TRY(out.close()));
  report_.bytes += out.size();
  report_.files.push_back(name);
  return {};
}

Status Export::entries(Out& out) {
  for (uint64_t at = report_.first; at < end_;) {
    auto lines = TRY(source_.ledger.entries(at, std::min(kPage, end_ - at)));
    if (lines.empty()) return fail(Code::corrupt, "ledger: entry " + std::to_string(at) + " is missing");
    for (const auto& line : lines) TRY(out.line(line));
    at += lines.size();
  }
  report_.entries = end_ - report_.first;
  return {};
}

Status Export::heads(Out& out) {
  for (uint64_t after = report_.first; after < report_.head.size;) {
    auto page = TRY(source_.ledger.heads(after, kPage));
    if (page.empty()) return fail(Code::corrupt, "ledger: the newest head is missing");
    for (const auto& head : page) {
      if (head.size > end_ && !whole_) {
        after = report_.head.size;  // of a part: those over its entries, and the newest
        break;
      }
      if (head.size > report_.head.size) return {};
      TRY(add_head(out, head));
      after = head.size;
    }
  }
  return whole_ || report_.head.size <= end_ ? Status() : add_head(out, report_.head);
}

Status Export::add_head(Out& out, const Head& head) {
  if (!whole_) range_heads_.push_back(head);
  ++report_.heads;
  return out.line(head_json(source_.site_id, head));
}

// Times of entries may jump as the clock does, so the whole log is looked through.
Status Export::find(const EvidenceRange& range) {
  whole_ = range.whole();
  end_ = report_.head.size;
  if (whole_) return {};
  if (range.from && range.to && *range.from > *range.to)
    return fail(Code::invalid, "expected a range whose start is not after its end");
  std::optional<uint64_t> first, last;
  for (uint64_t at = 0; at < report_.head.size;) {
    auto lines = TRY(source_.ledger.entries(at, std::min(kPage, report_.head.size - at)));
    if (lines.empty()) return fail(Code::corrupt, "ledger: entry " + std::to_string(at) + " is missing");
    for (const auto& line : lines) {
      const Micros time = TRY(time_of(line, at));
      if (!first && (!range.from || time >= *range.from)) first = at;
      if (!range.to || time <= *range.to) last = at;
      ++at;
    }
  }
  // Nothing in it: the two entries between which it would be.
  const uint64_t size = report_.head.size, begin = first.value_or(size);
  const uint64_t end = std::max(begin, last ? *last + 1 : 0);
  report_.first = begin == 0 ? 0 : begin - 1;
  end_ = std::min(size, end + 1);
  return {};
}

Status Export::consistency(Out& out) {
  for (const Head& head : range_heads_) {
    json::array proof;
    for (const auto& hash : TRY(source_.ledger.consistency_proof(head.size, report_.head.size)))
      proof.emplace_back(hex(hash));
    TRY(out.line(canonical_json(json::object{{"from", head.size}, {"proof", proof}, {"to", report_.head.size}})));
  }
  return {};
}

Status Export::receipts(Out& out) {
  for (std::string after;;) {
    std::vector<Receipt> page;
    TRY(source_.db.read([&](store::Txn& txn) -> Status {
      page = TRY(list_receipts(txn, "", after, static_cast<int64_t>(kPage)));
      return {};
    }));
    if (page.empty()) return {};
    for (const auto& receipt : page) {
      after = receipt.id;
      if (receipt.ledger_index < report_.first || receipt.ledger_index >= end_) continue;
      TRY(out.line(to_json(receipt)));
      ++report_.receipts;
    }
  }
}

Status Export::proofs(Out& out) {
  const uint64_t size = report_.head.size, count = whole_ ? std::min(size, kProofs) : end_ - report_.first;
  for (uint64_t i = 0; i < count; ++i) {
    // Of a part, all; of the whole log spread evenly, the first and the last entry included.
    uint64_t index = !whole_     ? report_.first + i
                     : count < 2 ? 0
                                 : i * ((size - 1) / (count - 1)) + i * ((size - 1) % (count - 1)) / (count - 1);
    json::array proof;
    for (const auto& hash : TRY(source_.ledger.inclusion_proof(index, size))) proof.emplace_back(hex(hash));
    std::string line = TRY(source_.ledger.entry_json(index));
    TRY(out.line(canonical_json(
        json::object{{"index", index}, {"leaf", hex(leaf_hash(line))}, {"proof", proof}, {"size", size}})));
    ++report_.proofs;
  }
  return {};
}

std::string Export::manifest(Micros now) const {
  std::string text = "holdfast-evidence-v1\n" + source_.site_id + "\n" + std::to_string(now) + "\n";
  json::object files;
  for (const auto& [name, digest] : digests_) {
    text.append(name).append(" ").append(digest).append("\n");
    files[name] = digest;
  }
  return canonical_json(json::object{{"files", files},
                                     {"signature", hex(source_.key.sign(text))},
                                     {"site", source_.site_id},
                                     {"time", now},
                                     {"type", "holdfast-evidence-v1"}}) +
         "\n";
}

Result<EvidenceReport> Export::run(Micros now, const EvidenceRange& range) {
  report_.head = TRY(source_.ledger.head());
  TRY(find(range));
  TRY(fs_.make_dirs(folder_));
  TRY(file("entries.jsonl", [&](Out& out) { return entries(out); }));
  TRY(file("heads.jsonl", [&](Out& out) { return heads(out); }));
  TRY(file("head.json", [&](Out& out) { return out.line(head_json(source_.site_id, report_.head)); }));
  TRY(file("receipts.jsonl", [&](Out& out) { return receipts(out); }));
  TRY(file("proofs.jsonl", [&](Out& out) { return proofs(out); }));
  TRY(file("public-key.pem", [&](Out& out) { return out.write(source_.key.public_pem()); }));
  if (!whole_) {
    json::object part{{"count", end_ - report_.first}, {"first", report_.first}};
    if (range.from) part["from"] = *range.from;
    if (range.to) part["to"] = *range.to;
    TRY(file("range.json", [&](Out& out) { return out.line(canonical_json(part)); }));
    TRY(file("consistency.jsonl", [&](Out& out) { return consistency(out); }));
  }
  TRY(file("software.json", [&](Out& out) { return out.line(source_.software_json); }));
  TRY(file("README.txt", [&](Out& out) { return out.write(kReadme); }));
  std::string signed_manifest = manifest(now);
  TRY(file("manifest.json", [&](Out& out) { return out.write(signed_manifest); }));
  TRY(fs_.sync_dir(folder_));
  return report_;
}

std::string parent_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<EvidenceReport> export_evidence(os::Fs& fs, const EvidenceSource& source, Micros now, const std::string& folder,
                                       const EvidenceRange& range) {
  std::string fresh = folder + ".new";
  if (fs.exists(fresh)) TRY(fs.remove_tree(fresh));
  auto report = Export(fs, source, fresh).run(now, range);
  if (!report.ok()) {
    (void)fs.remove_tree(fresh);  // the error that matters is the first one
    return report;
  }
  if (fs.exists(folder)) TRY(fs.remove_tree(folder));
  TRY(fs.rename(fresh, folder));
  TRY(fs.sync_dir(parent_of(folder)));
  return report;
}

std::string head_json(const std::string& site_id, const Head& head) {
  return canonical_json(json::object{{"root", hex(head.root)},
                                     {"signature", hex(head.signature)},
                                     {"site", site_id},
                                     {"size", head.size},
                                     {"time", head.time}});
}

Result<Head> head_from_json(std::string_view text) {
  auto value = TRY(parse_json(text, 4096, "head"));
  const json::object* object = value.if_object();
  if (!object) return fail(Code::invalid, "head: expected an object");
  auto bytes = [&](const char* name, size_t size) -> Result<std::string> {
    const json::value* v = object->if_contains(name);
    if (!v || !v->is_string()) return fail(Code::invalid, std::string("head: expected the member ") + name);
    std::string raw = TRY(unhex({v->get_string().data(), v->get_string().size()}));
    if (raw.size() != size)
      return fail(Code::invalid, std::string("head: ") + name + ": expected " + std::to_string(size) + " bytes in hex");
    return raw;
  };
  auto number = [&](const char* name) -> Result<int64_t> {
    const json::value* v = object->if_contains(name);
    if (!v || !v->is_int64() || v->get_int64() < 0)
      return fail(Code::invalid, std::string("head: expected the member ") + name + ", a number");
    return v->get_int64();
  };
  Head head;
  head.root = TRY(bytes("root", 32));
  head.signature = TRY(bytes("signature", 64));
  head.size = static_cast<uint64_t>(TRY(number("size")));
  head.time = TRY(number("time"));
  return head;
}

}  // namespace hf::security
