// What customers report, by category. Rows in groups of six; the last of each group is held out.
#include "app/quickstart/ticket_tables.h"
#include "base/check.h"

namespace hf::app {
namespace {

constexpr std::string_view kRepairRows[] = {
    "{p} [won't|will not|refuses to] [turn on|switch on|start] [any more|at all|since {date}].",
    "{p} [keeps|started] [crashing|freezing|shutting down] [every few minutes|after an hour|all the time].",
    "the [power button|lamp|light] on {p} is [dead|broken] and nothing happens when I press it.",
    "{p} makes a [loud|strange|horrible] [noise|whine|rattle] and then [stops|dies].",
    "{p} is [broken|faulty|defective], it [stopped working|died|failed] on {date}.",
    "{p} [keeps freezing|keeps crashing] after an hour and then nothing happens when I [switch it on|press the "
    "button].",

    "{p} gets [very hot|far too hot] and [smells of burning|switches itself off].",
    "{p} [stopped working|broke down|gave up] [on {date}|last night|this morning].",
    "the battery of {p} [is dead|dies after ten minutes|no longer holds a charge].",
    "there is a [crack|dark line|flicker] in the glass of {p} and it [no longer works|has stopped working].",
    "I dropped {p} and now it is [broken|dead|cracked].",
    "{p} gets hot, makes a [strange|loud] noise and then [shuts down|switches itself off].",

    "[smoke|a burning smell] came out of {p} and it has been dead since.",
    "the [fan|motor|hinge] in {p} is [broken|failing|making a noise].",
    "{p} [died|went dead|broke] after [two weeks|a month|a year] of normal use.",
    "{p} has a [hardware fault|defect|fault], it [freezes|crashes] [twice a day|without warning].",
    "[coffee|water] got into {p} and it [does not react|no longer starts|is dead].",
    "since {date} {p} has a fault and [no longer starts|does not switch on].",

    "a [key|button|switch] on {p} is [stuck|broken] and [does not react|comes loose].",
    "{p} [needs to be repaired|needs a repair], the [socket|plug|case] is [loose|cracked|broken].",
    "[can you|could you] repair {p}, it [failed|stopped working|crashed] [again|last week].",
    "{p} only shows a [black|blue|blank] picture and [then freezes|then crashes|nothing else happens].",
    "{p} [flickers|rattles|whines] [all the time|every few minutes] and [then dies|then stops].",
    "can someone repair {p}, the [button|motor|battery] is [broken|dead].",

    "{p} [worked for a week|ran well for a year] and then [stopped|died|broke] without warning.",
    "there is something loose inside {p}, it rattles and [does not start|will not start].",
    "{p} is dead, [no light|no noise|no power] at all since {date}.",
    "I think a part in {p} has [failed|burnt out|broken], it [smells of smoke|gets far too hot].",
    "{p} [shuts down|switches itself off] [without warning|in the middle of work].",
    "{p} went dead in the middle of work and [will not|refuses to] start [again|any more].",

    "[the repair of {p} did not help|{p} was repaired last month], the same fault is back.",
    "{p} [crashed|froze] [three times|twice] [this morning|last night] and is now [dead|broken].",
    "the [case|glass|hinge] of {p} is cracked and it [does not switch on|no longer works].",
    "{p} has no power, the battery is [dead|broken] and the light stays off.",
    "a [fault|defect] in {p} makes it [crash|freeze|stop] [every hour|every day].",
    "the motor of {p} is [faulty|defective], it makes a noise and [then stops|then dies].",
};

constexpr std::string_view kBillingRows[] = {
    "I was charged [twice|two times] for {p}.",
    "the [invoice|bill] for {p} [is wrong|shows the wrong amount|does not match the price].",
    "you took {amt} [too much|more than agreed] from my [card|bank account] for {p}.",
    "the [discount|voucher|coupon] was not taken off the price of {p}.",
    "I [still need|never got|am missing] [an invoice|a receipt|a proper bill] for {p}.",
    "the price on the [bill|invoice] for {p} is [wrong|too high], my card was charged {amt}.",

    "my [card|bank] was charged {amt} for {p}, but the price was [lower|less].",
    "the [tax|VAT] on the invoice for {p} is [wrong|missing].",
    "I paid for {p} and you [sent a payment reminder|say the bill is unpaid|want the money again].",
    "the payment for {p} [failed|was declined] although there is enough money in my [account|bank].",
    "please [correct|change] the [name|address|tax number] on the invoice for {p}.",
    "I got a payment reminder for {p}, but I paid the [bill|invoice] [twice|on {date}].",

    "on my [card statement|bank statement] {p} appears [twice|two times].",
    "I was [billed|charged] {amt} for {p} instead of the [agreed|advertised] price.",
    "why does the bill for {p} [include|list] [a fee|an extra charge] of {amt}?",
    "the monthly [payment|instalment] for {p} [went up|was taken twice|is too high].",
    "I want to pay for {p} [by bank transfer|in two instalments|with another card].",
    "my bank statement [shows|has] an extra [fee|charge] of {amt} for {p}.",

    "your [accounts office|billing office] [overcharged|charged] me for {p}.",
    "I [paid|transferred] {amt} for {p} on {date} and the invoice still says unpaid.",
    "can you send me a [copy of the invoice|new receipt|corrected bill] for {p}?",
    "the [voucher|discount] code for {p} was accepted, but I was charged the full price.",
    "[a charge|a payment] of {amt} for {p} is on my [card|statement], which is too high.",
    "please send a [corrected|new] invoice for {p}, the [amount|tax] is [wrong|missing].",

    "I have a question about the [bill|payment|invoice] for {p}, the sums do not add up.",
    "the [billing address|company name] on the receipt for {p} is [wrong|missing].",
    "you [billed|charged] [my old card|the wrong card] for {p}.",
    "the amount for {p} was [taken|charged] [before the agreed date|a second time].",
    "our [bookkeeper|tax office] [needs|wants] [a receipt|an invoice with VAT] for {p}.",
    "our bookkeeper says you [charged|billed] the full price for {p} without the discount.",

    "the instalments for {p} [do not add up|are higher than agreed].",
    "[my bank says|I see that] {p} was paid, but your bill [says unpaid|is still open].",
    "the sum on the bill for {p} [is off by|is wrong by] {amt}.",
    "I [cannot pay|failed to pay] the bill for {p}, my card is [declined|refused].",
    "the [extra fee|charge] for {p} was not in the price you [advertised|agreed].",
    "the receipt for {p} is [missing|wrong], and the amount taken from my card does not match.",
};

constexpr std::string_view kDeliveryRows[] = {
    "{p} has [not arrived|still not come|not been delivered] [yet|so far].",
    "the [parcel|package|box] with {p} [got lost|is lost|seems to be lost].",
    "the tracking page for {p} [has not changed|has been stuck] since {date}.",
    "the [courier|driver|postman] left {p} [with a neighbour|at the wrong house|in the rain].",
    "{p} was [promised|due] on {date} and is [still not here|late].",
    "the parcel with {p} was due on {date}, the tracking page says [lost|late].",

    "[where is|when will you ship|when will you send] {p}?",
    "you [shipped|sent] {p} to [my old address|the wrong address|the wrong street|the wrong house].",
    "the shipment with {p} [is late|is delayed|is overdue], it should have come on {date}.",
    "the box that should contain {p} [was empty|came empty|came without it].",
    "tracking says {p} was delivered, but [nothing came|I have nothing|no parcel came].",
    "the courier says {p} was delivered, but the box [came empty|never came].",

    "I am [still waiting|waiting] for [{p}|the courier with {p}], [the delivery date was|it should have come on] "
    "{date}.",
    "{p} is [stuck|still] [at customs|in the depot|in {city}] according to the tracking.",
    "please [send|ship|deliver] {p} to [another address|my office] in {city}.",
    "the driver [did not ring|never came|drove off again] with {p} on {date}.",
    "only half of the shipment came, {p} [was not in the box|is missing from the parcel].",
    "I am waiting for the driver with {p}, it is [still in the depot|stuck in the depot] in {city}.",

    "can you [change|correct] the delivery address for {p}, I have moved to {city}?",
    "the package with {p} went [to {city}|back to the depot|to a neighbour I do not know].",
    "the courier [damaged|crushed] the [parcel|box] with {p} on the way.",
    "I need a new delivery [date|day] for {p}, I was [away|not at home].",
    "it has been [two weeks|ten days|a month] and {p} is still on its way.",
    "I was not at home when the [courier|postman] came with {p}, please deliver it again.",

    "there is no [tracking|shipping] [number|news] for {p} so far.",
    "has {p} been [shipped|sent|posted] yet, [I heard nothing|there is no news]?",
    "the delivery of {p} was [moved|put off] [twice|three times].",
    "the shipment is incomplete, {p} did not come with the [rest|other boxes].",
    "your courier [lost|cannot find] {p} [in the depot|on the way to {city}].",
    "has the package with {p} left the depot yet, there is no [tracking|delivery] news?",

    "the [neighbour|office next door] has [no parcel|nothing], so where did you deliver {p}?",
    "{p} should be shipped [together with|before] the rest, when does it [arrive|come]?",
    "{p} [was sent|went] [back to you|to the depot|back to the depot] because the [address was wrong|driver found no "
    "one].",
    "I paid for [express delivery|fast shipping], but {p} [has not come|has not arrived].",
    "how long does the shipping of {p} take, I have been waiting since {date}?",
    "the address was correct, but {p} was sent [back to the depot|to the wrong house] and has not arrived.",
};

constexpr std::string_view kReturnRows[] = {
    "I [want|would like|wish] to [send {p} back|return {p}].",
    "{p} is [too big|too small|too heavy] for us, [can I|may I] [return it|send it back]?",
    "please [send me|I need] a return label for {p}.",
    "I [changed my mind about|no longer need|do not want] {p} and [want a refund|want my money back].",
    "{p} has the wrong colour, I would like to [exchange it|swap it] for a [black|white] one.",
    "{p} is too heavy for me, please send me a return label.",

    "can I exchange {p} for [a larger one|a smaller one|another model]?",
    "I am [not happy|not satisfied] with {p} and would like a refund.",
    "I [bought|ordered] {p} by mistake and would like to [give it back|return it].",
    "how do I [return|send back] {p}, [is there a label|where do I send it]?",
    "{p} was a [gift|present] and we already have one, so I want to return it.",
    "I am not happy with the colour of {p}, may I swap it for another one?",

    "I sent {p} back on {date} and [still have no refund|am waiting for my refund].",
    "{p} is not what I [expected|ordered], please take it back.",
    "I ordered the wrong [size|colour|model], please exchange {p}.",
    "within the [two weeks|thirty days] I would like to give {p} back.",
    "please arrange the [return|exchange] of {p}, it is [unopened|still in its box|unused].",
    "{p} is unused and still in its box, I would like to [give it back|send it back] for a refund.",

    "you [received|have] {p} back since {date}, where is my refund?",
    "I would like to swap {p} for [the bigger model|the white one|a smaller model].",
    "is it [possible|okay] to [return|give back] {p} without the box?",
    "we have [two of them now|one too many], so I want to send {p} back.",
    "I want to [cancel the purchase of|withdraw from the purchase of] {p} and send it back.",
    "{p} was bought by mistake, how do I [exchange it|get a return label]?",

    "the colour of {p} does not [suit|match] our room, can it be exchanged?",
    "my [wife|husband|son] does not like {p}, so we would like to return it.",
    "who pays the [postage|return costs] if I send {p} back?",
    "I would [rather|much rather] have [another model|the smaller one], so please take {p} back.",
    "the return label for {p} [does not print|is missing|has expired].",
    "my son wants [another model|the bigger one], so we would like to exchange {p}.",

    "please refund {p}, it is [not what I expected|of no use to me].",
    "I [do not like|regret buying] {p}, can I have my money back?",
    "I have packed {p} again, where do I [send|bring] the return?",
    "the return of {p} [was accepted|was confirmed], but I have no refund.",
    "I would like to exchange {p}, the [size|colour] is not [right for us|what we need].",
    "please take {p} back and refund me, we [already have one|no longer need it].",
};

constexpr std::string_view kAccountRows[] = {
    "I [cannot|can't] [log in|sign in] to the account for {p}.",
    "I forgot the password [for|of] the account that {p} belongs to.",
    "my account for {p} [is locked|was locked|has been blocked].",
    "the [reset mail|reset link|login code] for the account of {p} never [arrives|comes].",
    "I need to change the email address of the [login|account] for {p}.",
    "the password for the account of {p} was [changed|reset], and now I cannot log in.",

    "[the login|signing in] for {p} [always fails|is refused] although the password is correct.",
    "please delete my [user account|profile] for {p}.",
    "[someone else|a stranger] [logged in to|got into] my account for {p}.",
    "the portal says [unknown user|wrong password] when I [log in|sign in] for {p}.",
    "I got a new [phone number|email address] and cannot [confirm|receive] the login code for {p}.",
    "the login for {p} is [refused|denied|blocked] and the portal says [unknown user|account locked].",

    "please [unlock|reset] my [account|login] for {p}.",
    "my [username|user name] for {p} is [not known|no longer accepted].",
    "how do I [change|reset] the password of my profile for {p}?",
    "I am [locked out|shut out] of the [account|profile] of {p}.",
    "a colleague left, please move the account for {p} to [another user|my email address].",
    "I forgot the [username|password] of my profile for {p} and am locked out.",

    "I want to [close|delete] the account that is linked to {p}.",
    "the login page for {p} [keeps asking for|does not accept] my password.",
    "the [two-step|security] code for the account of {p} [does not come|is refused].",
    "my profile for {p} shows [another user|the data of a stranger].",
    "please give my [colleague|assistant] access to the account for {p}.",
    "please [delete|close] my profile for {p}, [a stranger|someone else] got into it.",

    "after [the reset|I changed my password] I can no longer sign in for {p}.",
    "I typed the wrong password [three times|too often] and now the login for {p} is blocked.",
    "the account for {p} is under [my old email|the wrong user name], please change it.",
    "I never got the [mail|link] to [confirm|activate] my account for {p}.",
    "my login for {p} [has expired|was deleted], please [create|open] a new one.",
    "the link to [reset|change] my password for {p} has expired, so I cannot sign in.",

    "we need [a second user|two more users] on the account for {p}.",
    "the security question for the account of {p} [is not accepted|is not mine].",
    "I suspect that my password for {p} was stolen, please [block|lock] the login.",
    "[access to|the sign in for] my profile for {p} [is denied|is refused].",
    "please [merge|join] my two accounts, {p} is in the wrong one.",
    "please unlock the user for {p}, the [login|security] code is not accepted.",
};

constexpr std::string_view kSetupRows[] = {
    "how do I [set up|install|configure] {p}?",
    "I [cannot find|am missing] the [manual|instructions|guide] for {p}.",
    "how do I connect {p} to [my network|the internet|my computer]?",
    "which [cable|driver|program] do I need to [use|install] {p}?",
    "[can you explain|please explain] how to [pair|connect|configure] {p}.",
    "please explain how to [install|use] the [driver|program] for {p}, I have no manual.",

    "I do not [understand|know] the first steps with {p}, it is [new|still new].",
    "what are the right settings to use {p} [with an older computer|at home|in two rooms]?",
    "the instructions for {p} [are in another language|are hard to follow|skip a step].",
    "I would like to [learn|know] how to [update|adjust] the [software|settings] of {p}.",
    "how do I [switch|change] {p} to [another language|English|night mode]?",
    "what are the right steps to connect {p} [with my computer|to my network]?",

    "is {p} [compatible|able to work] with [my old computer|the program we use]?",
    "the [setup guide|manual] does not say how to [mount|place|connect] {p}.",
    "where do I find the [driver|software|app] to install {p}?",
    "I am [new to this|no expert] and need help to set up {p} [for the first time|step by step].",
    "I unpacked {p} and do not know which cable goes [where|in first].",
    "I unpacked {p}, where do I find the [guide|instructions] to set it up?",

    "how can I [move|copy] my [settings|data] from the old one to {p}?",
    "what do I have to [enter|choose] when {p} asks for [the network|a language|the region]?",
    "can {p} be used [with two computers|with two cables|without internet], and how?",
    "could you [walk me through|show me] the installation of {p}?",
    "how do I [register|activate] the [features|software] of {p} [step by step|the first time]?",
    "could you show me step by step how to [configure|install|adjust] {p}?",

    "I need the [download|link] for the [manual|driver|software] of {p}.",
    "how do I [pair|link] {p} with [my computer|my television]?",
    "which settings do you recommend for {p} in a [large|small] room?",
    "I would like to use {p} [abroad|in the garden|with a timer], how do I [adjust|configure] it?",
    "how do I [clean|store|mount] {p} [properly|the right way]?",
    "I need the manual to know how to [mount|pair|adjust] {p} properly.",

    "the guide shows another [menu|plug], so how do I [configure|connect] {p}?",
    "what is the [first step|right order] to install {p} [on a new computer|with the cable]?",
    "how do I [install|get] the newest [update|version] for {p}?",
    "is there a [video|guide] that shows how to [set up|use] {p}?",
    "please tell me how to [share|use] {p} [in the whole office|with two computers].",
    "is there a guide on how to [update|change] the [settings|language] of {p}?",
};

}  // namespace

Rows problem_patterns(Category category) {
  switch (category) {
    case kRepair:
      return kRepairRows;
    case kBilling:
      return kBillingRows;
    case kDelivery:
      return kDeliveryRows;
    case kReturn:
      return kReturnRows;
    case kAccount:
      return kAccountRows;
    case kSetup:
      return kSetupRows;
    case kCategories:
      break;
  }
  check(false, "a category");
  return {};
}

}  // namespace hf::app
