// Everything in a ticket that is not the problem itself. Rows in groups of six; the last of each group is held out.
#include "app/quickstart/ticket_tables.h"

namespace hf::app {
namespace {

constexpr std::string_view kOpenings[] = {
    "hello,",
    "hi there,",
    "dear support team,",
    "good [morning|afternoon|evening],",
    "hello, my name is {name} and I am a customer from {city}.",
    "good morning, I am {name} from {city}.",

    "dear [sir or madam|all],",
    "hi, this is {name}.",
    "hello everyone, I [hope|think] you can help me.",
    "I [write|am writing] to you from {city}.",
    "hi, I [shop|buy] with you often and need help.",
    "hello, this is {name} from {city}, I hope you can help me.",

    "to the [support|help] desk:",
    "[good day|greetings], [I have a small matter|one thing, please].",
    "hi team, {name} here.",
    "hello from {city}!",
    "dear help desk, [please help|a short message from {city}].",
    "hi, {name} here, I need help, please.",
};

constexpr std::string_view kIntros[] = {
    "this is about {p}.",
    "I am writing about {p}.",
    "I [have|own] a question [about|on] {p} that I bought from you.",
    "it concerns {p}, bought on {date}.",
    "my [message|mail] is about {p}.",
    "I am writing to you about {p}, bought on {date}.",

    "I need [help|support] with {p}.",
    "[last month|in spring|on {date}] I bought {p} from you.",
    "we [use|bought] {p} [in our office|for our shop].",
    "the matter is {p}.",
    "[there is trouble|we have trouble] with {p}.",
    "in spring we bought {p} for our office, this is about it.",

    "please help me with {p}.",
    "I [ordered|chose] {p} in your [shop|web shop] on {date}.",
    "[one thing about|a word about] {p}:",
    "my [wife|husband|colleague] asked me to write about {p}.",
    "I got {p} from you [last week|a while ago].",
    "please help my colleague with {p}.",
};

constexpr std::string_view kContrasts[] = {
    "this is about {p}, not about {d}.",
    "it is not {d} but {p} that I am writing about.",
    "my question concerns {p}, {d} is a different story.",
    "please do not mix this up with {d}, I mean {p}.",
    "I bought {d} and {p}, and I need help with the second one.",
    "I am writing about {p}, so do not mix it up with {d}.",

    "I bought {p} and {d}, this message is about the first one.",
    "unlike {d}, {p} needs your help.",
    "{d} is not the matter, {p} is.",
    "I do not mean {d}, I mean {p}.",
    "instead of {d}, this time it is {p}.",
    "this time it is not {d}, it is {p} that I need help with.",

    "forget {d}, it is about {p}.",
    "[no trouble with|nothing wrong with] {d}, but I have a question about {p}.",
    "while {d} [is fine|is all right], I am writing because of {p}.",
    "I wrote about {d} before, but now it is about {p}.",
    "{d} came with {p}, and it is the latter that I need help with.",
    "forget {d}, which is fine, I mean {p}.",
};

constexpr std::string_view kBystanders[] = {
    "I also own {d}, that one is fine.",
    "{d} [works|is working] [perfectly|well|as it should].",
    "I have no trouble with {d}.",
    "{d} from the same order is [perfect|all right|great].",
    "by the way, {d} is [excellent|great|very good].",
    "by the way, I also own {d} and have no trouble with it.",

    "we have used {d} for years without any trouble.",
    "my earlier message about {d} is solved, thank you.",
    "{d} came [on time|last week] and is all right.",
    "please ignore what I wrote about {d}, that is [settled|solved].",
    "my [brother|sister|neighbour] has {d} and is very happy with it.",
    "please ignore my earlier message about {d}, it is working as it should.",

    "there is nothing wrong with {d}, by the way.",
    "I am very happy with {d} that I bought [last year|before].",
    "{d}, on the other hand, is [fine|perfect].",
    "you helped me with {d} [last year|in spring], that went well.",
    "I use it next to {d}, which is [in order|fine].",
    "{d}, which I bought last year, is in order.",

    "nothing needs to be done about {d}.",
    "I also bought {d}, and it [runs well|is a pleasure].",
    "no complaints about {d}.",
    "{d} has never let me down.",
    "I am keeping {d}, it is very good.",
    "there are no complaints about {d}, it runs well.",

    "the question about {d} is already answered.",
    "{d} is not the [problem|reason for this message].",
    "all is well with {d}.",
    "thank you for {d}, it [arrived well|is great].",
    "only {d} is [in order|as it should be].",
    "thank you for {d}, all is well there.",
};

constexpr std::string_view kNumbers[] = {
    "the invoice has the number {n}.",
    "my customer number is {n}.",
    "the serial number is {sn}.",
    "I paid {amt} on {date}.",
    "invoice {n} is from {date}.",
    "the invoice number is {n} and the serial number is {sn}.",

    "you can see the serial number {sn} on the back.",
    "your colleague gave me the case number {n}.",
    "it cost {amt}.",
    "my account number is {n}.",
    "I have been a customer since {date}, customer number {n}.",
    "my customer number {n} is on the invoice from {date}.",

    "serial {sn}, article {n}.",
    "the price was {amt}.",
    "the article number is {n}.",
    "I wrote to you on {date}, the ticket was {n}.",
    "there is a sticker with {sn} on it.",
    "the article number is {n}, I paid {amt} for it.",
};

constexpr std::string_view kOrders[] = {
    "my order number is {o}.",
    "the order number is {o}.",
    "order number {o}.",
    "order {o}.",
    "[it was|this was] order {o}.",
    "my order was number {o}.",

    "I ordered it under number {o}.",
    "you will find it under order {o}.",
    "the order has the number {o}.",
    "please look at order {o}.",
    "it belongs to order number {o}.",
    "please look at my order, number {o}.",

    "(order {o})",
    "this concerns order {o}.",
    "the number of my order is {o}.",
    "regarding order {o}.",
    "here is the order number: {o}.",
    "you will find it under the order number {o}.",

    "my order: {o}.",
    "I placed the order with number {o}.",
    "the mail says order {o}.",
    "the order was {o}, placed on {date}.",
    "it is part of order {o}.",
    "this is part of my order {o}.",
};

constexpr std::string_view kHigh[] = {
    "this is [urgent|very urgent].",
    "please hurry, I need it [today|by tomorrow].",
    "our whole [office|shop|team] is at a standstill.",
    "we cannot [work|go on] until this is solved.",
    "every hour costs us [money|customers].",
    "please hurry, our whole team is at a standstill.",

    "I need an answer [today|right now|within the hour].",
    "it [cannot|can't] wait.",
    "this must be solved [today|by tomorrow|at once].",
    "I have an important [exam|meeting|deadline] tomorrow and need it.",
    "[nobody|no one] in the office can work right now.",
    "nobody can go on until this is solved, and the deadline is tomorrow.",

    "we are losing [customers|money|orders] every hour.",
    "please treat this as an emergency.",
    "the [clinic|school|shop] cannot open without it.",
    "this is [critical|very important] for our business.",
    "I [fly|leave] tomorrow [morning|at noon], so it has to be quick.",
    "this is an emergency, the school cannot [open|work] without it.",

    "please [act|answer] immediately.",
    "the deadline is [tonight|tomorrow], so be quick, please.",
    "I cannot do my [job|work] without it, so be quick.",
    "[patients|customers|guests] are waiting at this very moment.",
    "it is a matter of [hours|minutes].",
    "customers are waiting, so please answer [at once|immediately].",

    "drop everything else, please.",
    "every minute counts.",
    "we have had to close the shop because of it.",
    "my work [depends|relies] on it every [hour|day] and I am stuck.",
    "all our work has stopped.",
    "all our work depends on it, every minute counts.",

    "please put this at the top of your list.",
    "the event starts [tomorrow|tonight] and we need it at once.",
    "I need a solution as fast as possible.",
    "we are stuck and [need help now|need it right now].",
    "do not leave this for later, it has to be done now.",
    "we need a solution right now, put this at the top.",
};

constexpr std::string_view kLow[] = {
    "there is no [rush|hurry].",
    "take your time.",
    "this is not urgent [at all|in any way].",
    "[any time|some time] [next month|in the next weeks] is fine.",
    "it can wait.",
    "there is no hurry, it can wait.",

    "whenever you [have time|get round to it].",
    "I only use it [at weekends|once a month], so it does not matter when.",
    "I am in no hurry.",
    "it is just a small thing, so no rush.",
    "please deal with the urgent cases first.",
    "it is not urgent, so deal with the other cases first.",

    "we have a spare one, so we can wait.",
    "I am on holiday until {date} anyway.",
    "no need to hurry.",
    "it does not bother me much.",
    "an answer in [a few weeks|some weeks] is early enough.",
    "an answer next month is early enough, I am on holiday anyway.",

    "this is no emergency.",
    "leave it for a quiet day.",
    "it is only a [minor|small] matter.",
    "I do not need it [before next month|until winter|for now].",
    "I can manage without it for a while.",
    "it is a minor matter, leave it for later.",

    "do not hurry on my account.",
    "put it at the bottom of your list.",
    "I can live with it for now.",
    "it is not important.",
    "when things are quiet at your end, have a look.",
    "it is not important, I can live without it for a while.",

    "others surely need you more, so I can wait.",
    "I am patient.",
    "later is fine too.",
    "there is plenty of time.",
    "I have another one to use until then, so it is no big matter.",
    "I have a spare one until then, so there is plenty of time.",
};

constexpr std::string_view kNeutral[] = {
    "[I hope|I trust] that you can help.",
    "what can you do for me?",
    "please let me know what to do.",
    "I look forward to your answer.",
    "I have never had this before.",
    "please let me know what you can do.",

    "[my colleague|my wife] [noticed|saw] it first.",
    "I have looked at your [web page|help page] already.",
    "you have been helpful before.",
    "is this known to you?",
    "I have been a customer [for years|since {date}].",
    "I look forward to hearing what you can do for me.",
};

constexpr std::string_view kCallback[] = {
    "please call me on {ph}.",
    "please [call|ring|phone] me back.",
    "[give me a call|give me a ring] [on {ph}|after {time}|tomorrow].",
    "I would [rather|prefer to] talk to someone, my number is {ph}.",
    "can someone [call|ring|phone] me [after {time}|on {ph}]?",
    "can someone call me back on {ph}?",

    "I would like a call back.",
    "please get in touch by phone, not by mail: {ph}.",
    "I want to speak to [someone|a person], you can reach me on {ph}.",
    "I am waiting for your call on {ph}.",
    "a [short|quick] call would help me most.",
    "I would like to speak to someone, please ring me after {time}.",

    "please do not mail, call me instead.",
    "call me [any time|when you can]: {ph}.",
    "could you phone me [at work|at home] on {ph}?",
    "I ask for a call at {time}.",
    "my number is {ph}, please ring.",
    "please phone me at home, my number is {ph}.",

    "mails do not reach me, so please phone {ph}.",
    "it is easier to explain on the phone, please ring me.",
    "I expect a call from you, {ph}.",
    "when can we talk? My phone number is {ph}.",
    "please ring, I do not read mails often.",
    "I do not read mails, so a call on {ph} would help.",

    "let us talk about it on the phone: {ph}.",
    "please have someone call [{ph}|me back after {time}].",
    "ring me [at {time}|before {time}], please.",
    "a call back [to {ph}|after {time}] would be kind.",
    "I can be called [until {time}|on {ph}].",
    "please have someone ring me before {time}.",
};

constexpr std::string_view kNoCallback[] = {
    "there is no need to call me back.",
    "please do not [call|ring|phone] me.",
    "an email is enough, [no call please|you need not call].",
    "please answer by mail, I cannot take calls.",
    "my number is {ph}, but please write instead.",
    "an email is enough, please do not ring me.",

    "no phone calls, please.",
    "I prefer [email|a written answer] to a call.",
    "you need not ring, [a mail will do|just write].",
    "I [never|do not] pick up the phone at work, so please write.",
    "write to me rather than calling.",
    "I prefer a mail, I cannot take calls at work.",

    "please reply in writing only.",
    "do not call {ph}, that number is no longer mine.",
    "calling me is not necessary.",
    "I am hard of hearing, so please do not phone, write to me.",
    "a short mail will do, thank you.",
    "please write, calling {ph} is not necessary.",

    "please use email and not the phone.",
    "I do not want to be called.",
    "I cannot talk on the phone, so send a mail.",
    "a call is not needed.",
    "email me, please, my phone is switched off.",
    "I do not want a phone call, send a mail.",

    "no call back needed.",
    "spare yourself the call and just send a mail.",
    "you have my number {ph}, but a call is not needed.",
    "calls wake the baby, so please send an email.",
    "instead of a call, a written answer would be kind.",
    "no call needed, a written reply will do.",
};

constexpr std::string_view kClosings[] = {
    "thanks, {name}",
    "kind regards, {name}",
    "many thanks",
    "thank you.",
    "best wishes, {name}",
    "many thanks and kind regards, {name}",

    "regards, {name}",
    "with thanks, {name} from {city}",
    "yours, {name}",
    "thank you in advance.",
    "best regards, {name}, {city}",
    "thank you in advance, {name}",

    "greetings from {city}, {name}",
    "thanks for your help!",
    "thank you and goodbye, {name}",
    "sincerely, {name}",
    "all the best, {name}",
    "thanks for your help and all the best, {name}",
};

constexpr Product kProducts[] = {
    {"laptop", "desk", true, {"laptop", "notebook", "laptop computer"}},
    {"tablet", "desk", false, {"tablet", "tablet computer", ""}},
    {"monitor", "desk", true, {"monitor", "computer monitor", ""}},
    {"keyboard", "desk", false, {"keyboard", "wireless keyboard", ""}},
    {"dock", "desk", false, {"dock", "docking station", ""}},
    {"drive", "desk", false, {"hard drive", "backup drive", "disk drive"}},
    {"printer", "imaging", true, {"printer", "laser printer", "label printer"}},
    {"scanner", "imaging", true, {"scanner", "document scanner", ""}},
    {"camera", "imaging", false, {"camera", "video camera", ""}},
    {"projector", "imaging", true, {"projector", "beamer", ""}},
    {"router", "comms", false, {"router", "wifi router", "wifi box"}},
    {"phone", "comms", false, {"phone", "smartphone", "mobile phone"}},
    {"headset", "comms", false, {"headset", "wireless headset", ""}},
    {"speaker", "comms", true, {"speaker", "loudspeaker", ""}},
    {"watch", "comms", false, {"watch", "smartwatch", ""}},
    {"charger", "comms", false, {"charger", "phone charger", "charging station"}},
};

constexpr std::string_view kBrands[] = {
    "Kestrel", "Arden",  "Belmor", "Corvin", "Tamsin", "Merrow",  "Halden", "Fenwick", "Lumen",  "Ostra",
    "Quillon", "Sorbus", "Tarn",   "Vesper", "Wyvern", "Juniper", "Brisk",  "Calder",  "Dunlin", "Nimbus",
    "Parvus",  "Rowan",  "Saltus", "Linden", "Zephyr", "Garnet",  "Hobart", "Ivory",   "Jasper", "Larch",
};

constexpr std::string_view kNames[] = {
    "Anna",  "Ben",   "Carla", "David",  "Emma",  "Felix", "Grace",  "Henry",  "Irene", "Jack",   "Karen",
    "Leo",   "Maria", "Nina",  "Oscar",  "Paula", "Ray",   "Quinn",  "Sara",   "Tom",   "Ursula", "Victor",
    "Wendy", "Xenia", "Yann",  "Zoe",    "Adam",  "Bella", "Chris",  "Diana",  "Eric",  "Fiona",  "George",
    "Hanna", "Ivan",  "Julia", "Kevin",  "Laura", "Mark",  "Nora",   "Otto",   "Petra", "Ruth",   "Simon",
    "Tina",  "Uwe",   "Vera",  "Walter", "Alice", "Bruno", "Clara",  "Dennis", "Elena", "Frank",  "Gina",
    "Hugo",  "Ines",  "Jonas", "Kate",   "Lukas", "Mia",   "Nelson", "Olive",  "Peter", "Rosa",   "Stefan",
};

constexpr std::string_view kCities[] = {
    "Lisbon",  "Bremen", "Leeds",  "Ghent",  "Turin",  "Malmo",   "Cork",   "Graz",   "Lyon",    "Basel",
    "Utrecht", "Porto",  "Dublin", "Aarhus", "Krakow", "Bristol", "Tartu",  "Bergen", "Seville", "Bonn",
    "Nantes",  "Exeter", "Oslo",   "Vienna", "Riga",   "Ulm",     "Zurich", "Derby",  "Parma",   "Bruges",
};

constexpr NamedTable kValueTables[] = {{"brands", kBrands}, {"names", kNames}, {"cities", kCities}};

}  // namespace

Rows opening_patterns() { return kOpenings; }
Rows intro_patterns() { return kIntros; }
Rows contrast_patterns() { return kContrasts; }
Rows bystander_patterns() { return kBystanders; }
Rows number_patterns() { return kNumbers; }
Rows order_patterns() { return kOrders; }
Rows high_priority_patterns() { return kHigh; }
Rows low_priority_patterns() { return kLow; }
Rows neutral_patterns() { return kNeutral; }
Rows callback_patterns() { return kCallback; }
Rows no_callback_patterns() { return kNoCallback; }
Rows closing_patterns() { return kClosings; }
std::span<const Product> products() { return kProducts; }
Rows brands() { return kBrands; }
Rows names() { return kNames; }
Rows cities() { return kCities; }
std::span<const NamedTable> value_tables() { return kValueTables; }

std::span<const NamedTable> pattern_tables() {
  static const NamedTable tables[] = {
      {"repair", problem_patterns(kRepair)},
      {"billing", problem_patterns(kBilling)},
      {"delivery", problem_patterns(kDelivery)},
      {"return", problem_patterns(kReturn)},
      {"account", problem_patterns(kAccount)},
      {"setup", problem_patterns(kSetup)},
      {"opening", kOpenings},
      {"intro", kIntros},
      {"contrast", kContrasts},
      {"bystander", kBystanders},
      {"number", kNumbers},
      {"order", kOrders},
      {"high", kHigh},
      {"low", kLow},
      {"neutral", kNeutral},
      {"callback", kCallback},
      {"no callback", kNoCallback},
      {"closing", kClosings},
  };
  return tables;
}

}  // namespace hf::app
