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
    "I am [writing|getting in touch] [about|because of] {p}.",
    "I [have|got] a [question|problem|request] [about|on|with] {p} that I bought from you.",
    "it concerns {p}, [bought|ordered] on {date}.",
    "my [message|mail|question|request] [is about|concerns|is on] {p}.",
    "I am writing to you about {p}, bought on {date}.",

    "I need [help|support|your advice] [with|for] {p}.",
    "[last month|in spring|last week|on {date}] [I bought|we bought|I got] {p} from you.",
    "we [use|bought|have] {p} [in our office|for our shop|for my mother|at school].",
    "the matter is {p}.",
    "[there is trouble|we have trouble|there is a problem] with {p}.",
    "in spring we bought {p} for our office, this is about it.",

    "please help [me|us] with {p}.",
    "I [ordered|chose|bought] {p} in your [shop|web shop] [on {date}|last week].",
    "[one thing about|a word about|a question on|something about] {p}:",
    "my [wife|husband|colleague|son] [asked me to write|wants me to ask] about {p}.",
    "I got {p} from you [last week|a while ago|on {date}].",
    "please help my colleague with {p}.",
};

constexpr std::string_view kContrasts[] = {
    "[this is|my mail is|I am asking] about {p}, not about {d}.",
    "it is not {d} but {p} that [I am writing about|I need help with|this is about].",
    "my [question|request|mail] concerns {p}, {d} is [a different story|another matter].",
    "please do not [mix this up|confuse this] with {d}, I mean {p}.",
    "I [have|bought] {d} and {p}, and [I need help with the second one|it is the second one that I mean].",
    "I am writing about {p}, so do not mix it up with {d}.",

    "I [have|bought] {p} and {d}, [this message is about the first one|I need help with the first one].",
    "unlike {d}, {p} needs [your help|some help].",
    "{d} is not [the matter|what I mean|the problem], {p} is.",
    "I [do not|don't] mean {d}, I mean {p}.",
    "[instead of|not] {d}, this time it is {p}.",
    "this time it is not {d}, it is {p} that I need help with.",

    "[forget|leave aside] {d}, [it is about|I am asking about] {p}.",
    "[no trouble with|nothing wrong with|no complaint about] {d}, but I [have a question about|need help with] {p}.",
    "while {d} [is fine|is all right|works], I am writing because of {p}.",
    "I wrote about {d} before, but now [it is about|I mean|my question is about] {p}.",
    "I mean {p} [here|this time], so [do not|please don't] [look at|think of] {d}.",
    "forget {d}, which is fine, I mean {p}.",
};

constexpr std::string_view kBystanders[] = {
    "I also [own|have|use] {d}[, that one is fine| and am happy with it|, it works well].",
    "{d} [works|is working|runs] [perfectly|well|fine|as it should].",
    "[I have|we have|there is] no [trouble|problem] with {d}.",
    "{d} from the same [order|parcel] is [perfect|all right|great|fine].",
    "by the way, {d} is [excellent|great|very good|perfect][ and works well|].",
    "by the way, I also own {d} and have no trouble with it.",

    "we have [used|had] {d} for [years|months] [without any trouble|and are happy with it].",
    "my [earlier|last|old] [message|question|mail] about {d} is [solved|answered|settled][, thank you|].",
    "{d} [came|arrived] [on time|last week|safely] and [is all right|works well|is fine].",
    "please [ignore|forget] what I [wrote|said] about {d}, that is [settled|solved|done].",
    "my [brother|sister|neighbour|friend] [has|owns|bought] {d} and is [very|quite] happy with it.",
    "please ignore my earlier message about {d}, it is working as it should.",

    "there is nothing wrong with {d}[, by the way|, I must say|].",
    "I am [very|quite] happy with {d} [that|which] I [bought|got] [last year|before|in spring].",
    "{d}, on the other hand, is [fine|perfect|in order|all right].",
    "you helped me with {d} [last year|in spring|before], [that went well|and it is fine now].",
    "{d}, which [you sent in spring|we have had for years|came with it|I got before], is [fine|perfect|all "
    "right|working well].",
    "{d}, which I bought last year, is in order.",

    "nothing needs to be done about {d}[, it is fine|].",
    "I [also|once] bought {d}, and it [runs well|is a pleasure|has no fault].",
    "[no complaints about|all my thanks for|only praise for] {d}.",
    "{d} [has never let me down|never gave me trouble|is still as good as new].",
    "I am [keeping|happy with] {d}, it is [very good|in order|fine].",
    "there are no complaints about {d}, it runs well.",

    "the [question|matter|trouble] about {d} is [already answered|over|closed].",
    "{d} is not the [problem|reason for this message|matter].",
    "all is [well|fine|in order] with {d}[, thanks|].",
    "[thank you|thanks] for {d}, it [arrived well|is great|works well there].",
    "[only|at least] {d} is [in order|as it should be|working well].",
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
    "this is [urgent|very urgent|really urgent][, please hurry|].",
    "please hurry[ up|], I need it [today|by tomorrow|tonight].",
    "our whole [office|shop|team|school] is at a standstill[ because of it|].",
    "[we|my colleagues and I] cannot [work|go on|open] until this is [solved|done].",
    "every [hour|minute] costs us [money|customers].",
    "please hurry, our whole team is at a standstill.",

    "I need an answer [today|right now|within the hour|at once].",
    "it [cannot|can't|must not] wait[ any longer|].",
    "this must be [solved|done] [today|by tomorrow|at once|immediately].",
    "I have an important [exam|meeting|deadline] [tomorrow|today] and need it.",
    "[nobody|no one] in the [office|shop|school] can [work|go on] [right now|at this moment].",
    "nobody can go on until this is solved, and the deadline is tomorrow.",

    "we are losing [customers|money|orders] every [hour|minute].",
    "please treat this as an emergency[, we cannot wait|].",
    "the [clinic|school|shop|office] cannot open [without it|until this is solved].",
    "this is [critical|very important] for [our business|our work|us][, so be quick|].",
    "I [fly|leave] [tomorrow morning|tomorrow|tonight], so it has to be [quick|done at once].",
    "this is an emergency, the school cannot [open|work] without it.",

    "please [act|answer|help|reply] [immediately|at once|right now].",
    "the deadline is [tonight|tomorrow|today], so [be quick, please|please hurry|please answer now].",
    "I cannot do my [job|work] without it, so [be quick|please hurry].",
    "[patients|customers|guests|people] are waiting [at this very moment|right now|for us, so please be quick|and we "
    "cannot work].",
    "it is a matter of [hours|minutes].",
    "customers are waiting, so please answer [at once|immediately].",

    "drop everything else, please[, it is urgent|].",
    "every [minute|hour] counts[ for us|].",
    "we [have had|had] to close the [shop|office] because of it.",
    "[my|our] work [depends|relies] on it every [hour|day] and [I am|we are] stuck.",
    "all our work has stopped[ because of it|].",
    "all our work depends on it, every minute counts.",

    "please put this [at the top of your list|first|before all else].",
    "the event starts [tomorrow|tonight|today] and we need it [at once|right now].",
    "[I|we] need a solution [as fast as possible|within the hour|today].",
    "we are stuck and [need help now|need it right now|cannot go on].",
    "do not leave this for later, it has to be done [now|today].",
    "we need a solution right now, put this at the top.",
};

constexpr std::string_view kLow[] = {
    "there is no [rush|hurry][ at all|, really|].",
    "take your time[, please|, I can wait|].",
    "this is not [urgent|pressing] [at all|in any way|for me].",
    "[any time|some time] [next month|in the next weeks|later this year] is [fine|early enough].",
    "it can wait[ for a while|, of course|].",
    "there is no hurry, it can wait.",

    "whenever you [have time|get round to it|like].",
    "I only use it [at weekends|once a month|in summer], so [it does not matter when|there is no rush|I can wait].",
    "I am in no hurry[ at all|, really|].",
    "it is just a [small|minor] thing, so [no rush|take your time|it can wait].",
    "please [deal with|see to] the urgent cases [first|before mine].",
    "it is not urgent, so deal with the other cases first.",

    "we have a spare one, so [we can wait|there is no hurry|it can wait].",
    "I am on holiday until {date}[ anyway|, so take your time|, so no rush].",
    "no need to hurry[, really|, it can wait|].",
    "it does not [bother|trouble] me much[, so take your time|].",
    "an answer in [a few weeks|some weeks|a month] is [early enough|fine].",
    "an answer next month is early enough, I am on holiday anyway.",

    "this is no emergency[, so take your time|].",
    "[leave|keep] it for [a quiet day|later|next week|the end of the month].",
    "it is only a [minor|small] [matter|thing|question][, so it can wait|].",
    "I do not need it [before next month|until winter|for now|any time soon].",
    "[I|we] can [manage|do] without it for [a while|now|some weeks].",
    "it is a minor matter, leave it for later.",

    "do not hurry [on my account|because of me].",
    "put it at the [bottom|end] of your list.",
    "[I|we] can live with it for [now|a while].",
    "it is not [important|a big thing][, so later is fine|].",
    "when things are quiet at your end, have a look[ at it|].",
    "it is not important, I can live without it for a while.",

    "others surely need you more, so [I can wait|take your time].",
    "I am [patient|not in a rush].",
    "later is [fine too|all right|good enough].",
    "there is [plenty of|enough] time[, no rush|].",
    "I have another one to use [until then|for now], so it is no big matter.",
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
    "please call me [on|at] {ph}.",
    "please [call|ring|phone] me [back|when you can|after {time}].",
    "[give me a call|give me a ring] [on {ph}|after {time}|tomorrow|when you can].",
    "I would [rather|prefer to] [talk to|speak with] someone, my number is {ph}.",
    "can someone [call|ring|phone] me [after {time}|on {ph}|at home]?",
    "can someone call me back on {ph}?",

    "I would like [a call back|to be called back|a call].",
    "please get in touch by phone, not by [mail|email]: {ph}.",
    "I want to [speak|talk] to [someone|a person], you can reach me on {ph}.",
    "I am waiting for your call [on {ph}|after {time}].",
    "a [short|quick] call would [help me most|be best].",
    "I would like to speak to someone, please ring me after {time}.",

    "please do not [mail|write], [call|ring] me instead.",
    "call me [any time|when you can|before {time}]: {ph}.",
    "could you [phone|call] me [at work|at home] on {ph}?",
    "I ask for a call [at {time}|on {ph}].",
    "my number is {ph}, please [ring|call].",
    "please phone me at home, my number is {ph}.",

    "[mails|emails] do not reach me, so please [phone|call|ring] {ph}.",
    "it is easier to explain on the phone, please [ring|call] me.",
    "I expect a call from you[, {ph}| after {time}].",
    "when can we talk? My phone number is {ph}.",
    "please [ring|call], I do not read [mails|emails] often.",
    "I do not read mails, so a call on {ph} would help.",

    "let us talk about it on the phone: {ph}.",
    "please have someone call [{ph}|me back after {time}|me].",
    "ring me [at {time}|before {time}|on {ph}], please.",
    "a call back [to {ph}|after {time}] would be [kind|nice].",
    "I can be called [until {time}|on {ph}].",
    "please have someone ring me before {time}.",
};

constexpr std::string_view kNoCallback[] = {
    "there is no need to [call|phone|ring] me[ back|].",
    "please do not [call|ring|phone] me[ back|, write instead|].",
    "[an email|a mail] is enough, [no call please|you need not call|calling is not necessary].",
    "please answer by [mail|email], I cannot take calls.",
    "my number is {ph}, but please [write|mail me] instead.",
    "an email is enough, please do not ring me.",

    "no [phone calls|calls], please[, just write|].",
    "I prefer [email|a written answer|a mail] to a call.",
    "you need not [ring|call], [a mail will do|just write|an email is enough].",
    "I [never|do not] pick up the phone at work, so please write.",
    "[write|send a mail] to me rather than [calling|ringing].",
    "I prefer a mail, I cannot take calls at work.",

    "please [reply|answer] in writing only[, do not call|].",
    "do not call {ph}, that number is no longer mine.",
    "[calling|ringing] me is not [necessary|needed][, please write|].",
    "I am hard of hearing, so please do not [phone|call], write to me.",
    "a short [mail|email|written reply] will do, thank you.",
    "please write, calling {ph} is not necessary.",

    "please use email and not the phone.",
    "I do not want [to be called|a call|anyone to ring me].",
    "I cannot talk on the phone, so [send a mail|please write].",
    "a call [back |]is not [needed|necessary].",
    "email me, please, my phone is switched off.",
    "I do not want a phone call, send a mail.",

    "no call [back |]needed[, an email will do|].",
    "spare yourself the call and just [send a mail|write].",
    "you have my number {ph}, but a call is not [needed|necessary].",
    "calls wake the baby, so please [send an email|write].",
    "instead of a call, [a written answer|an email] would be kind.",
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
