#include "app/quickstart/baselines.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <unordered_map>

#include "app/quickstart/ticket_tables.h"
#include "app/quickstart/tickets.h"
#include "base/text.h"

namespace hf::app {
namespace {

constexpr size_t kMaxTrain = 30'000;
constexpr size_t kMaxClasses = 512;  // a field with more values is no choice among few: the commonest answer is given

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 128;
}

// A prompt as (word id, count), ids ascending.
using Bag = std::vector<std::pair<uint32_t, float>>;

class Vocabulary {
 public:
  Bag bag(std::string_view text, bool grow) {
    std::map<uint32_t, float> counts;
    for (auto& word : words_of(text)) {
      auto found = ids_.find(word);
      if (found == ids_.end()) {
        if (!grow) continue;
        found = ids_.emplace(std::move(word), static_cast<uint32_t>(ids_.size())).first;
      }
      counts[found->second] += 1;
    }
    return {counts.begin(), counts.end()};
  }
  size_t size() const { return ids_.size(); }

 private:
  std::unordered_map<std::string, uint32_t> ids_;
};

// ---- nearest neighbour

class NearestNeighbour {
 public:
  explicit NearestNeighbour(const std::vector<Bag>& bags, size_t words) : postings_(words), idf_(words) {
    for (const auto& bag : bags) {
      for (auto [word, count] : bag) idf_[word] += 1;
    }
    for (auto& n : idf_) n = std::log(static_cast<float>(bags.size() + 1) / (n + 1));
    for (uint32_t i = 0; i < bags.size(); i++) {
      auto weighted = weigh(bags[i]);
      for (auto [word, weight] : weighted) postings_[word].emplace_back(i, weight);
    }
    sums_.resize(bags.size());
  }

  // Index of the most similar; the first among equals.
  size_t find(const Bag& bag) {
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    for (auto [word, weight] : weigh(bag)) {
      for (auto [i, other] : postings_[word]) sums_[i] += weight * other;
    }
    return static_cast<size_t>(std::max_element(sums_.begin(), sums_.end()) - sums_.begin());
  }

 private:
  Bag weigh(Bag bag) const {
    float norm = 0;
    for (auto& [word, weight] : bag) {
      weight *= idf_[word];
      norm += weight * weight;
    }
    for (auto& [word, weight] : bag) weight /= std::sqrt(norm) + 1e-9f;
    return bag;
  }
  std::vector<std::vector<std::pair<uint32_t, float>>> postings_;
  std::vector<float> idf_, sums_;
};

// ---- bag of words: softmax regression, stochastic gradient, rate falling with the passes

class Regression {
 public:
  Regression(const std::vector<Bag>& bags, const std::vector<std::string>& labels, size_t words) {
    std::map<std::string, size_t> counts;
    for (const auto& label : labels) counts[label]++;
    std::vector<std::pair<size_t, std::string>> order;
    for (const auto& [label, n] : counts) order.emplace_back(n, label);
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    if (order.size() > kMaxClasses) order.resize(1);
    std::unordered_map<std::string, size_t> index;
    for (auto& [n, label] : order) {
      index.emplace(label, classes_.size());
      classes_.push_back(label);
    }
    weights_.resize((words + 1) * classes_.size());
    if (classes_.size() < 2) return;
    std::vector<float> p(classes_.size());
    for (int pass = 0; pass < 6; pass++) {
      float rate = 0.3f / static_cast<float>(1 + pass);
      for (size_t i = 0; i < bags.size(); i++) {
        softmax(bags[i], p);
        p[index.at(labels[i])] -= 1;
        float step = rate / std::sqrt(static_cast<float>(bags[i].size() + 1));
        learn(words, 1, p, step);
        for (auto [word, count] : bags[i]) learn(word, count, p, step);
      }
    }
  }

  const std::string& predict(const Bag& bag) const {
    std::vector<float> p(classes_.size());
    softmax(bag, p);
    return classes_[static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin())];
  }

 private:
  void learn(size_t word, float count, const std::vector<float>& error, float step) {
    float* row = &weights_[word * classes_.size()];
    for (size_t c = 0; c < classes_.size(); c++) row[c] -= step * count * error[c];
  }
  void softmax(const Bag& bag, std::vector<float>& p) const {
    size_t n = classes_.size();
    const float* bias = &weights_[weights_.size() - n];
    std::copy(bias, bias + n, p.begin());
    for (auto [word, count] : bag) {
      const float* row = &weights_[word * n];
      for (size_t c = 0; c < n; c++) p[c] += count * row[c];
    }
    float top = *std::max_element(p.begin(), p.end()), sum = 0;
    for (auto& x : p) sum += x = std::exp(x - top);
    for (auto& x : p) x /= sum;
  }
  std::vector<std::string> classes_;
  std::vector<float> weights_;  // (words + 1, classes); the last row is the bias
};

// ---- keyword rule

struct Keywords {
  std::string_view label;
  std::vector<std::string_view> words;
};

const std::string_view* count_hits(std::string_view low, const std::vector<Keywords>& rows,
                                   const std::string_view* none) {
  const std::string_view* best = none;
  size_t most = 0;
  for (const auto& row : rows) {
    size_t hits = 0;
    for (auto word : row.words) hits += low.find(word) != std::string_view::npos;
    if (hits > most) {
      most = hits;
      best = &row.label;
    }
  }
  return best;
}

std::string first_product(std::string_view low) {
  size_t first = std::string_view::npos;
  std::string label(products()[0].label);
  for (const auto& product : products()) {
    for (auto noun : product.nouns) {
      size_t at = noun.empty() ? std::string_view::npos : low.find(" " + std::string(noun));
      if (at < first) {
        first = at;
        label = product.label;
      }
    }
  }
  return label;
}

// ---- scoring

std::string object_of(const std::vector<std::string>& fields, const std::vector<std::string>& values) {
  boost::json::object object;
  for (size_t i = 0; i < fields.size(); i++) object[fields[i]] = values[i];
  return boost::json::serialize(object);
}

Baseline score_keywords(const Dataset& data) {
  Scorer scorer(data);
  for (const auto& example : data.held_out) scorer.add(keyword_answer(example.prompt), example.completion);
  return {"keyword_rule", scorer.score()};
}

Baseline score_neighbour(const Dataset& data, const std::vector<Bag>& train, Vocabulary& words, bool tickets) {
  NearestNeighbour neighbour(train, words.size());
  Scorer scorer(data);
  std::vector<std::string> values;
  for (const auto& example : data.held_out) {
    std::string answer = data.train[neighbour.find(words.bag(example.prompt, false))].completion;
    if (tickets && read_fields(answer, data.fields, values)) {
      values.back() = order_by_rule(example.prompt);
      answer = object_of(data.fields, values);
    }
    scorer.add(answer, example.completion);
  }
  return {"nearest_neighbour", scorer.score()};
}

Baseline score_bag(const Dataset& data, const std::vector<Bag>& train, Vocabulary& words, bool tickets) {
  std::vector<std::vector<std::string>> labels(std::max<size_t>(data.fields.size(), 1));
  std::vector<std::string> values;
  for (size_t i = 0; i < train.size(); i++) {
    if (data.fields.empty()) {
      values = {data.train[i].completion};
    } else {
      check(read_fields(data.train[i].completion, data.fields, values), "a completion has the data's fields");
    }
    for (size_t f = 0; f < labels.size(); f++) labels[f].push_back(values[f]);
  }
  size_t learnt = tickets ? data.decided : labels.size();
  std::vector<Regression> models;
  for (size_t f = 0; f < learnt; f++) models.emplace_back(train, labels[f], words.size());
  Scorer scorer(data);
  for (const auto& example : data.held_out) {
    Bag bag = words.bag(example.prompt, false);
    values.clear();
    for (const auto& model : models) values.push_back(model.predict(bag));
    if (tickets) values.push_back(order_by_rule(example.prompt));
    scorer.add(data.fields.empty() ? values[0] : object_of(data.fields, values), example.completion);
  }
  return {"bag_of_words", scorer.score()};
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool letters = false;
  for (size_t i = 0; i <= text.size(); i++) {
    char c = i < text.size() ? text[i] : ' ';
    if (is_letter(c) || is_digit(c)) {
      word += c;
      letters |= is_letter(c);
      continue;
    }
    if (letters) words.push_back(lower(word));
    word.clear();
    letters = false;
  }
  return words;
}

std::string order_by_rule(std::string_view ticket) {
  std::string low = lower(ticket);
  for (size_t at = low.find("order"); at != std::string::npos; at = low.find("order", at + 1)) {
    size_t limit = std::min(low.size(), at + 40);
    for (size_t i = at; i + 6 <= limit; i++) {
      size_t n = 0;
      while (i + n < low.size() && is_digit(low[i + n])) n++;
      if (n == 6) return low.substr(i, 6);
      i += n;
    }
  }
  return {};
}

std::string keyword_answer(std::string_view ticket) {
  static const std::vector<Keywords> kCategoryWords = {
      {"repair", {"broken", "repair", "fault", "dead", "crash", "freez", "noise", "defect"}},
      {"billing", {"invoice", "bill", "charged", "paid", "payment", "price", "receipt"}},
      {"delivery", {"deliver", "parcel", "courier", "shipp", "arrived", "tracking", "package"}},
      {"return", {"return", "refund", "exchange", "send it back", "swap", "money back"}},
      {"account", {"account", "login", "password", "log in", "sign in", "profile"}},
      {"setup", {"install", "set up", "connect", "how do i", "manual", "configure", "settings"}},
  };
  static const std::vector<Keywords> kPriorityWords = {
      {"high", {"urgent", "immediately", "emergency", "today", "tomorrow", "right now", "at once", "deadline"}},
      {"low", {"no rush", "no hurry", "take your time", "not urgent", "can wait", "whenever"}},
  };
  static constexpr std::string_view kNormal = "normal";
  std::string low = " " + lower(ticket);
  std::string category(*count_hits(low, kCategoryWords, &kCategoryWords[0].label));
  std::string product = first_product(low);
  std::string priority(*count_hits(low, kPriorityWords, &kNormal));
  bool call = low.find("call") != std::string::npos || low.find(" ring") != std::string::npos;
  bool refused = low.find("no need") != std::string::npos || low.find("do not") != std::string::npos;
  return completion({category, product, priority, team_for(category, product), call && !refused ? "yes" : "no",
                     order_by_rule(ticket)});
}

std::vector<Baseline> score_baselines(const Dataset& data) {
  std::vector<Baseline> out;
  bool tickets = data.name == "tickets";
  if (tickets) out.push_back(score_keywords(data));
  Vocabulary words;
  std::vector<Bag> train;
  for (size_t i = 0; i < std::min(data.train.size(), kMaxTrain); i++)
    train.push_back(words.bag(data.train[i].prompt, true));
  out.push_back(score_neighbour(data, train, words, tickets));
  out.push_back(score_bag(data, train, words, tickets));
  return out;
}

}  // namespace hf::app
