// A structure with one member of every kind, for the codecs' tests and fuzz targets.
#pragma once

#include "wire/fields.h"

namespace hf::wire::testing {

struct Leaf {
  std::string name;
  std::optional<int32_t> count;
  static void fields(Fields<Leaf>& f) {
    f("Name", &Leaf::name).required().length(1, 8).pattern("[a-z]+");
    f("Count", &Leaf::count).range(-5, 5);
    f.refused("Shadow", "shadows are not offered");
  }
};

struct Choice {
  std::optional<std::string> text;
  std::optional<Leaf> leaf;
  static void fields(Fields<Choice>& f) {
    f("Text", &Choice::text);
    f("Leaf", &Choice::leaf);
    f.is_union();
  }
};

struct Everything {
  std::optional<bool> flag;
  std::optional<int32_t> small;
  std::optional<int64_t> big;
  std::optional<double> real;
  std::optional<std::string> text, color, secret;
  std::optional<Timestamp> when, stamp;
  std::optional<Blob> data;
  std::optional<Document> anything;
  std::optional<Leaf> leaf;
  std::optional<Choice> choice;
  std::optional<std::vector<Leaf>> leaves;
  std::optional<std::vector<std::string>> colors, flat;
  std::map<std::string, std::string> tags;
  std::optional<std::map<std::string, Leaf>> by_name;
  std::vector<std::vector<int32_t>> table;
  static void fields(Fields<Everything>& f) {
    f("Flag", &Everything::flag);
    f("Small", &Everything::small);
    f("Big", &Everything::big);
    f("Real", &Everything::real).range(0, 2);
    f("Text", &Everything::text).length(0, 4);
    f("Color", &Everything::color).one_of({"red", "green"});
    f("Secret", &Everything::secret).secret().length(0, 3);
    f("When", &Everything::when);
    f("Stamp", &Everything::stamp).time_format(TimeFormat::epoch);
    f("Data", &Everything::data).length(0, 4);
    f("Anything", &Everything::anything);
    f("Leaf", &Everything::leaf);
    f("Choice", &Everything::choice);
    f("Leaves", &Everything::leaves).length(0, 2);
    f("Colors", &Everything::colors).one_of({"red", "green"}).items("Color");
    f("Flat", &Everything::flat).flattened();
    f("Tags", &Everything::tags).length(0, 2);
    f("ByName", &Everything::by_name);
    f("Table", &Everything::table);
    f.refused("Magic", "magic is not offered");
    f.refused("Never", "never, not even empty").even_default();
  }
};

}  // namespace hf::wire::testing
