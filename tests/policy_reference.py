#!/usr/bin/env python3
"""A second policy evaluator, in Python, that shares no code with the program's, and a generator of cases for both.

tests/policy_reference.py [--cases N] [--seed N] [--program build/release/policy_cases]
Each case goes through both; they must agree on allowed, explicitDeny, implicitDeny or malformed. Three properties are
checked on the reference's own answers: a Deny more never grants, an Allow less never grants, no policy grants nothing.
Prints how many cases had each answer, so that a generator that only makes denials is seen. Standard library only.
"""
import argparse, base64, collections, datetime, decimal, ipaddress, json, pathlib, random, re, subprocess, sys
import tempfile


class Malformed(Exception):
    pass


# ---- reading documents

OPERATORS = {}
for name, kind, test in [
        ("StringEquals", "string", "eq"), ("StringEqualsIgnoreCase", "fold", "eq"), ("StringLike", "like", "eq"),
        ("ArnEquals", "arn", "eq"), ("ArnLike", "arn", "eq"), ("Bool", "bool", "eq"), ("BinaryEquals", "binary", "eq"),
        ("IpAddress", "ip", "eq"), ("Null", "null", "eq")] + [
        (stem + suffix, stem.lower(), test) for stem in ("Numeric", "Date")
        for suffix, test in (("Equals", "eq"), ("LessThan", "lt"), ("LessThanEquals", "le"), ("GreaterThan", "gt"),
                             ("GreaterThanEquals", "ge"))]:
    OPERATORS[name] = (kind, test, False)
for name, of in {"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
                 "StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike",
                 "NumericNotEquals": "NumericEquals", "DateNotEquals": "DateEquals",
                 "NotIpAddress": "IpAddress"}.items():
    OPERATORS[name] = OPERATORS[of][:2] + (True,)

VARIABLE = re.compile(r"\$\{(?:([*?$])|([A-Za-z0-9:/._+=@-]{1,512}))(?:, *'([^']*)')?\}")


def need(condition, why):
    if not condition:
        raise Malformed(why)


def as_list(value, scalars=False):
    values = value if isinstance(value, list) else [value]
    need(values, "empty list")
    out = []
    for v in values:
        if scalars and isinstance(v, bool):
            v = "true" if v else "false"
        elif scalars and isinstance(v, int):
            v = str(v)
        need(isinstance(v, str) and len(v.encode()) <= 2048 and (v or scalars), "not a string")
        out.append(v)
    return out


def check_variables(text):
    # Every "${" must begin a variable, once those before it are taken out.
    need("${" not in VARIABLE.sub("", text) or all(
        VARIABLE.match(text, at) for at in starts(text)), "variable")


def starts(text):
    at = text.find("${")
    while at >= 0:
        yield at
        m = VARIABLE.match(text, at)
        at = text.find("${", m.end() if m else at + 2)


def number(text):
    m = re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", text)
    return decimal.Decimal(text) if m else None


def date(text):
    if re.fullmatch(r"-?[0-9]{1,11}", text):
        return int(text) * 10**6
    m = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?", text)
    if not m:
        return None
    try:
        zone = m[4] if m[4] and m[4] != "Z" else "+00:00"
        t = datetime.datetime.fromisoformat(f"{m[1]}T{m[2] or '00:00:00'}{(m[3] or '.0').ljust(7, '0')}{zone}")
    except ValueError:
        return None
    return (t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


def address(text, network=False):
    try:
        if not network:
            return None if "%" in text else ipaddress.ip_address(text)
        host, slash, bits = text.partition("/")
        if "%" in host or (slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", bits)):
            return None
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def binary(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def check_value(kind, text, variables):
    if kind in ("string", "fold", "like", "arn"):
        if variables:
            check_variables(text)
        need(kind != "arn" or text == "*" or text.startswith(("arn:", "${")), "ARN")
    else:
        need({"numeric": lambda: number(text) is not None, "date": lambda: date(text) is not None,
              "bool": lambda: text.lower() in ("true", "false"), "null": lambda: text.lower() in ("true", "false"),
              "binary": lambda: binary(text) is not None, "ip": lambda: address(text, True) is not None}[kind](), kind)


def read_condition(block, variables):
    need(isinstance(block, dict), "Condition")
    out = []
    for name, keys in block.items():
        quantifier, rest = "", name
        for q in ("ForAllValues:", "ForAnyValue:"):
            if name.startswith(q):
                quantifier, rest = q, name[len(q):]
        exists = rest.endswith("IfExists")
        rest = rest[:-8] if exists else rest
        need(rest in OPERATORS and not (rest == "Null" and (exists or quantifier)), name)
        need(isinstance(keys, dict), "keys")
        for key, values in keys.items():
            need(re.fullmatch(r"[^:]+:.+", key, re.S), "key")
            values = as_list(values, True)
            for v in values:
                check_value(OPERATORS[rest][0], v, variables)
            out.append((quantifier, OPERATORS[rest], exists, key.lower(), values))
    return out


def read_principal(value):
    if isinstance(value, str):
        need(value == "*", "Principal")
        return {("AWS", "*")}
    need(isinstance(value, dict) and value, "Principal")
    out = set()
    for kind, names in value.items():
        need(kind in ("AWS", "Service", "Federated"), kind)
        for n in as_list(names):
            if kind == "AWS":
                if re.fullmatch(r"[0-9]{12}", n):
                    n = f"arn:aws:iam::{n}:root"
                need(n == "*" or re.fullmatch(r"arn:aws:(iam|sts)::[0-9]{12}:[^*?:][^*?]*", n), "AWS")
            else:
                need(not re.search(r"[*?]", n), kind)
            out.add((kind, n))
    return out


def read(text, kind):
    document = json.loads(text)
    need(isinstance(document, dict) and set(document) <= {"Version", "Id", "Statement"}, "members")
    need(document.get("Version", "2008-10-17") in ("2012-10-17", "2008-10-17"), "Version")
    need("Statement" in document, "Statement")
    variables = document.get("Version") == "2012-10-17"
    statements = document["Statement"]
    out = []
    for s in statements if isinstance(statements, list) else [statements]:
        need(isinstance(s, dict), "statement")
        need(set(s) <= {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal",
                        "Condition"}, "element")
        need(s.get("Effect") in ("Allow", "Deny"), "Effect")
        need(("Action" in s) != ("NotAction" in s), "Action")
        need(("Resource" in s) + ("NotResource" in s) == (kind != "trust"), "Resource")
        need(("Principal" in s) + ("NotPrincipal" in s) == (kind != "identity"), "Principal")
        need(not ("NotPrincipal" in s and s["Effect"] == "Allow"), "NotPrincipal")
        actions = as_list(s.get("Action", s.get("NotAction")))
        for a in actions:
            need(a == "*" or re.fullmatch(r"[^:]+:.+", a), "action")
            need("${" not in a, "action")
        resources = as_list(s.get("Resource", s.get("NotResource"))) if kind != "trust" else None
        for r in resources or []:
            need(r == "*" or r.startswith("arn:"), "resource")
            if variables:
                check_variables(r)
        out.append({"allow": s["Effect"] == "Allow", "actions": actions, "not_action": "NotAction" in s,
                    "resources": resources, "not_resource": "NotResource" in s, "variables": variables,
                    "principal": read_principal(s.get("Principal", s.get("NotPrincipal"))) if kind != "identity" else None,
                    "not_principal": "NotPrincipal" in s,
                    "conditions": read_condition(s.get("Condition", {}), variables)})
    return out


# ---- deciding

def glob(text, context, variables, wild=True):
    """A regular expression; None where a variable has no value."""
    def plain(piece):
        return "".join(".*" if wild and c == "*" else "." if wild and c == "?" else re.escape(c) for c in piece)
    out, at = "", 0
    for m in VARIABLE.finditer(text) if variables else ():
        out += plain(text[at:m.start()])
        values = [m[1]] if m[1] else context.get(m[2].lower(), [])
        if not values and m[3] is not None:
            values = [m[3]]
        if len(values) != 1:
            return None
        out += re.escape(values[0])
        at = m.end()
    return out + plain(text[at:])


def full(expression, text, flags=0):
    return re.fullmatch(expression, text, re.S | flags) is not None


def arn_matches(pattern, context, variables, have):
    if pattern == "*":
        return True
    # Wildcards and values are kept apart by two marks that no ARN of a case has.
    marked = pattern.replace("${*}", "\x01").replace("${?}", "\x02") if variables else pattern
    out, at, parts = [], 0, []
    for m in VARIABLE.finditer(marked) if variables else ():
        out += list(marked[at:m.start()])
        values = [m[1]] if m[1] else context.get(m[2].lower(), [])
        if not values and m[3] is not None:
            values = [m[3]]
        if len(values) != 1:
            return None
        out += ["\x01" if c == "*" else "\x02" if c == "?" else c for c in values[0]]
        at = m.end()
    out += list(marked[at:])
    joined = "".join(out)
    if joined == "*":
        return True
    wanted, found = joined.split(":", 5), have.split(":", 5)
    if len(wanted) != 6 or len(found) != 6:
        return False
    for w, f in zip(wanted, found):
        e = "".join({"*": ".*", "?": ".", "\x01": r"\*", "\x02": r"\?"}.get(c) or re.escape(c) for c in w)
        if not full(e, f):
            return False
    return True


def compare(kind, test, wanted, have, context, variables):
    """True, False, or None where the two cannot be compared."""
    if kind in ("string", "fold", "like"):
        e = glob(wanted, context, variables, kind == "like")
        return None if e is None else full(e, have, re.I if kind == "fold" else 0)
    if kind == "arn":
        return arn_matches(wanted, context, variables, have)
    if kind == "bool":
        return have.lower() == wanted.lower() if have.lower() in ("true", "false") else None
    if kind == "ip":
        a, n = address(have), address(wanted, True)
        return None if a is None else a.version == n.version and a in n
    parse = {"numeric": number, "date": date, "binary": binary}[kind]
    a, b = parse(have), parse(wanted)
    if a is None:
        return None
    return {"eq": a == b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[test] if kind != "binary" else a == b


def condition_holds(condition, allow, variables, context):
    quantifier, (kind, test, negated), exists, key, values = condition
    have = context.get(key, [])
    if kind == "null":
        return any((v.lower() == "true") == (not have) for v in values)
    if not have:
        return exists or quantifier == "ForAllValues:" or (quantifier == "" and negated)

    def fits(h):
        answers = [compare(kind, test, v, h, context, variables) for v in values]
        if any(answers):
            return not negated
        if None in answers:
            return negated and not allow
        return negated
    results = [fits(h) for h in have]
    everyone = quantifier == "ForAllValues:" or (quantifier == "" and negated)
    return all(results) if everyone else any(results)


def prefix_covers(expression, tail_is_star, prefix):
    return tail_is_star and full(expression, prefix)


def could_begin(pattern, context, variables, prefix):
    """Is there a text that begins with `prefix` and that the pattern matches? By a search over positions."""
    tokens, at = [], 0
    for m in VARIABLE.finditer(pattern) if variables else ():
        tokens += [(c, c in "*?") for c in pattern[at:m.start()]]
        values = [m[1]] if m[1] else context.get(m[2].lower(), [])
        if not values and m[3] is not None:
            values = [m[3]]
        if len(values) != 1:
            return None
        tokens += [(c, False) for c in values[0]]
        at = m.end()
    tokens += [(c, c in "*?") for c in pattern[at:]]
    places = {0}
    def close(some):
        todo, out = list(some), set(some)
        while todo:
            i = todo.pop()
            if i < len(tokens) and tokens[i] == ("*", True) and i + 1 not in out:
                out.add(i + 1)
                todo.append(i + 1)
        return out
    places = close(places)
    for c in prefix:
        after = set()
        for i in places:
            if i < len(tokens):
                t, wild = tokens[i]
                if wild and t == "*":
                    after.add(i)
                elif (wild and t == "?") or (t == c and not wild):
                    after.add(i + 1)
        places = close(after)
    return bool(places), bool(tokens) and tokens[-1] == ("*", True)


def resource_applies(s, case, context):
    if s["resources"] is None:
        return True
    matched = unknown = False
    for r in s["resources"]:
        e = glob(r, context, s["variables"])
        if e is None:
            unknown = True
            continue
        if not case.get("all"):
            matched |= full(e, case["resource"])
            continue
        begins, star = could_begin(r, context, s["variables"], case["resource"])
        # What an Allow lists must be all of the prefix; what a Deny lists, any of it; with a Not the other way round.
        wants_all = s["allow"] if not s["not_resource"] else not s["allow"]
        matched |= prefix_covers(e, star, case["resource"]) if wants_all else begins
    if s["not_resource"]:
        return not matched and not (s["allow"] and unknown)
    return matched


def naming(who, principal):
    kind = who.get("kind", "aws")
    if kind != "aws":
        return 3 if ({"service": "Service", "federated": "Federated"}[kind], who["arn"]) in principal else 0
    if ("AWS", who["arn"]) in principal:
        return 3
    if ("AWS", "*") in principal or (who.get("role_arn") and ("AWS", who["role_arn"]) in principal):
        return 2
    return 1 if ("AWS", f"arn:aws:iam::{who['account']}:root") in principal else 0


def not_named(who, principal):
    if who.get("kind", "aws") != "aws":
        return naming(who, principal) == 0
    faces = [who["arn"], f"arn:aws:iam::{who['account']}:root"] + ([who["role_arn"]] if who.get("role_arn") else [])
    return ("AWS", "*") not in principal and any(("AWS", f) not in principal for f in faces)


def effects(statements, case, context):
    """What the statements that apply say: ("deny",) and ("allow", how nearly it names the caller)."""
    out = set()
    for s in statements:
        level = 0
        if s["principal"] is not None:
            if s["not_principal"]:
                if not not_named(case["who"], s["principal"]):
                    continue
            else:
                level = naming(case["who"], s["principal"])
                if not level:
                    continue
        spoken = any(full(glob(a, {}, False), case["action"], re.I) for a in s["actions"])
        if spoken == s["not_action"] or not resource_applies(s, case, context):
            continue
        if all(condition_holds(c, s["allow"], s["variables"], context) for c in s["conditions"]):
            out.add(("allow", level) if s["allow"] else ("deny", 0))
    return out


def evaluate(case):
    try:
        own = [s for d in case["policies"] for s in read(d, "identity")]
        boundary = read(case["boundary"], "identity") if "boundary" in case else None
        session = [s for d in case["session"] for s in read(d, "identity")] if "session" in case else None
        resource = read(case["resource_policy"], "trust" if case.get("trust") else "resource") \
            if "resource_policy" in case else []
    except Malformed:
        return "malformed"
    if case["action"].lower() == "sts:getcalleridentity":
        return "allowed"
    context = {k.lower(): v for k, v in case["context"].items()}
    said = [effects(p, case, context) if p is not None else None for p in (own, boundary, session, resource)]
    if any(s and ("deny", 0) in s for s in said):
        return "explicitDeny"
    mine = any(e == "allow" for e, _ in said[0])
    limits = all(s is None or any(e == "allow" for e, _ in s) for s in said[1:3])
    level = max([n for e, n in said[3] if e == "allow"], default=0)
    who = case["who"]
    if who.get("kind", "aws") != "aws":
        return "allowed" if level == 3 else "implicitDeny"
    parts = case["resource"].split(":")
    owner = case.get("owner") or (parts[4] if parts[0] == "arn" and len(parts) > 4 else "")
    if owner and owner != who["account"]:
        good = level > 0 and mine and limits
    elif level == 3:
        good = True
    elif level == 2:
        good = limits
    else:
        good = mine and limits and (level == 1 or not case.get("rules"))
    return "allowed" if good else "implicitDeny"


# ---- making cases

ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "kms:Decrypt", "sts:AssumeRole", "sts:GetCallerIdentity"]
ACTION_PATTERNS = ACTIONS[:5] + ["*", "s3:*", "s3:Get*", "S3:getobject", "s3:?utObject", "*:*", "kms:*", "s3:*Object",
                                 "sts:*", "s3:Get*ect"]
A, B = "000000000001", "000000000002"
RESOURCES = ["arn:aws:s3:::b/alice/k", "arn:aws:s3:::b/bob/*", "arn:aws:s3:::b", f"arn:aws:kms:site-1:{A}:key/1",
             f"arn:aws:kms:site-1:{B}:key/2", f"arn:aws:iam::{A}:role/r", f"arn:aws:iam::{B}:role/r", "*"]
PREFIXES = ["arn:aws:s3:::b/", "arn:aws:s3:::b/alice/", f"arn:aws:kms:site-1:{A}:key/", "arn:aws:s3:::", "", "arn:aws:s3:::b/a?"]
RESOURCE_PATTERNS = RESOURCES + ["*", "*", "arn:aws:s3:::b/*", "arn:aws:s3:::*", "arn:aws:s3:::b/${aws:username}/*",
                                 "arn:aws:s3:::b/${aws:PrincipalTag/Team, 'alice'}/?", "arn:aws:s3:::b/bob/${*}",
                                 "arn:aws:s3:::?/*/k", f"arn:aws:kms:*:{A}:*", "arn:aws:s3:::b/${aws:TagKeys}/*",
                                 "arn:aws:*:*:*:*", "arn:aws:s3:::b/alice*", "arn:aws:s3:::b/${ bad}", "b/*",
                                 "arn:aws:s3:::b/${aws:username", "arn:aws:iam::*:role/r"]
USER, ROLE = f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{A}:role/r"
SESSION, OIDC = f"arn:aws:sts::{A}:assumed-role/r/s", f"arn:aws:iam::{A}:oidc-provider/idp.example"
CALLERS = [{"account": A, "arn": USER}, {"account": A, "arn": USER}, {"account": A, "arn": SESSION, "role_arn": ROLE},
           {"account": B, "arn": f"arn:aws:iam::{B}:user/eve"},
           {"account": "", "arn": "bedrock.amazonaws.com", "kind": "service"}, {"account": "", "arn": OIDC, "kind": "federated"}]
AWS_PRINCIPALS = ["*", A, B, f"arn:aws:iam::{A}:root", USER, ROLE, SESSION, f"arn:aws:iam::{B}:user/eve"]
VALUES = {
    "aws:username": ["alice", "bob", "al*", "*", "ALICE", "${aws:username}", "?lice"],
    "aws:PrincipalTag/Team": ["alice", "red", "r?d", "Red", "${aws:username}", "${aws:PrincipalTag/None, 'red'}"],
    "aws:TagKeys": ["a", "b", "c", "*"],
    "aws:MultiFactorAuthAge": ["0", "1", "10", "10.0", "9.50", "-3", "-0", "007"],
    "aws:CurrentTime": ["2026-11-22T00:00:00Z", "2026-11-22", "1795305600", "2026-11-22T01:00:00+01:00", "2027-01-01",
                        "2026-11-22T00:00:00.5Z", "0"],
    "aws:SecureTransport": ["true", "false", "True"],
    "x:Blob": ["YQ==", "YWI=", "", "/+8="],
    "aws:SourceIp": ["10.0.0.1", "10.0.0.0/8", "10.1.2.3/16", "::1", "2001:db8::/32", "2001:db8::5", "0.0.0.0/0", "::/0",
                     "127.0.0.1/32"],
    "aws:SourceArn": [USER, ROLE, f"arn:aws:iam::{A}:*", "arn:aws:iam::*:user/alice", "*", f"arn:aws:*:user/alice",
                      "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}", "${aws:PrincipalArn}", "arn:aws"],
}
KINDS = {"string": ["aws:username", "aws:PrincipalTag/Team", "aws:TagKeys", "aws:SourceArn"], "numeric": ["aws:MultiFactorAuthAge"],
         "date": ["aws:CurrentTime"], "bool": ["aws:SecureTransport"], "binary": ["x:Blob"], "ip": ["aws:SourceIp"],
         "arn": ["aws:SourceArn"]}
KINDS["fold"] = KINDS["like"] = KINDS["string"]
KINDS["null"] = list(VALUES)


def some(r, values, most=3):
    picked = [r.choice(values) for _ in range(r.randint(1, most))]
    return picked[0] if len(picked) == 1 and r.random() < .7 else picked


def make_condition(r):
    out = {}
    for _ in range(r.randint(1, 2)):
        name = r.choice(list(OPERATORS))
        kind = OPERATORS[name][0]
        key = r.choice(list(VALUES) if r.random() < .02 else KINDS[kind])
        if kind == "null":
            out[name] = {key: r.choice(["true", "false", True])}
            continue
        full_name = r.choice(["", "", "", "ForAllValues:", "ForAnyValue:"]) + name + r.choice(["", "", "IfExists"])
        out[full_name] = {r.choice([key, key.upper()]): some(r, VALUES[key])}
    return out


def make_principal(r):
    if r.random() < .15:
        return "*"
    out = {"AWS": some(r, AWS_PRINCIPALS)} if r.random() < .9 else {}
    if not out or r.random() < .2:
        out["Service"] = "bedrock.amazonaws.com"
    if r.random() < .2:
        out["Federated"] = OIDC
    return out


def make_statement(r, kind, deny=.3):
    s = {"Effect": "Deny" if r.random() < deny else "Allow"}
    s["NotAction" if r.random() < .12 else "Action"] = some(r, ACTION_PATTERNS)
    if kind != "trust":
        s["NotResource" if r.random() < .15 else "Resource"] = some(r, RESOURCE_PATTERNS[:-4] if r.random() < .98 else RESOURCE_PATTERNS)
    if kind != "identity":
        s["NotPrincipal" if s["Effect"] == "Deny" and r.random() < .4 else "Principal"] = make_principal(r)
    if r.random() < .45:
        s["Condition"] = make_condition(r)
    if r.random() < .003:
        s[r.choice(["Sidd", "Principal", "NotAction"])] = "*"
    return s


def make_document(r, kind):
    return {"Version": "2012-10-17" if r.random() < .95 else "2008-10-17",
            "Statement": [make_statement(r, kind) for _ in range(r.randint(1, 3))]}


def make_context(r):
    out = {}
    for key, values in VALUES.items():
        if r.random() < .6:
            many = r.randint(0, 3) if key in ("aws:TagKeys", "aws:PrincipalTag/Team") else 1
            out[r.choice([key, key.lower()])] = [r.choice(values) for _ in range(many)]
    if r.random() < .1:
        out[r.choice(["aws:MultiFactorAuthAge", "aws:SourceIp", "aws:CurrentTime"]).lower()] = ["garbage"]
    if r.random() < .7:
        out["aws:PrincipalArn"], out["aws:PrincipalAccount"] = [USER], [A]
    # Keys are told apart without their case: one spelling each.
    return {k.lower(): v for k, v in out.items()}


def make_case(r):
    case = {"who": r.choice(CALLERS), "policies": [make_document(r, "identity") for _ in range(r.randint(0, 3))],
            "action": r.choice(ACTIONS), "resource": r.choice(RESOURCES), "context": make_context(r)}
    if r.random() < .15:
        case["all"], case["resource"] = True, r.choice(PREFIXES)
    if r.random() < .25:
        case["boundary"] = make_document(r, "identity")
    if r.random() < .25:
        case["session"] = [make_document(r, "identity") for _ in range(r.randint(0, 2))]
    if r.random() < .5:
        case["trust"] = r.random() < .3
        case["resource_policy"] = make_document(r, "trust" if case["trust"] else "resource")
        case["rules"] = r.random() < .4
    if r.random() < .3:
        case["owner"] = r.choice([A, B])
    return case


def spelled(case):
    out = dict(case, policies=[json.dumps(d) for d in case["policies"]])
    for name in ("boundary", "resource_policy"):
        if name in case:
            out[name] = json.dumps(case[name])
    if "session" in case:
        out["session"] = [json.dumps(d) for d in case["session"]]
    return out


def check_properties(r, case, answer):
    if answer in ("malformed", "allowed"):
        return
    more = dict(case, policies=case["policies"] + [{"Version": "2012-10-17", "Statement": make_statement(r, "identity", 1)}])
    yield "a Deny more grants", more
    for i, document in enumerate(case["policies"]):
        for j, s in enumerate(document["Statement"]):
            if s["Effect"] == "Allow":
                less = dict(document, Statement=document["Statement"][:j] + document["Statement"][j + 1:])
                yield "an Allow less grants", dict(case, policies=case["policies"][:i] + [less] + case["policies"][i + 1:])
    if "resource_policy" not in case and case["action"] != "sts:GetCallerIdentity":
        yield "no policy grants", dict(case, policies=[])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parent.parent / "build/release/policy_cases"))
    args = parser.parse_args()
    r = random.Random(args.seed)
    told, answers, wrong, left = collections.Counter(), [], 0, args.cases
    while left > 0:
        batch = [make_case(r) for _ in range(min(left, 20000))]
        left -= len(batch)
        lines = [spelled(c) for c in batch]
        reference = [evaluate(c) for c in lines]
        properties = []
        for c, answer in zip(batch, reference):
            if r.random() < .05:
                properties += [(why, spelled(p)) for why, p in check_properties(r, c, answer)]
        lines += [p for _, p in properties]
        granted = [evaluate(p) for _, p in properties]
        with tempfile.TemporaryFile("w+") as given:
            for line in lines:
                given.write(json.dumps(line) + "\n")
            given.seek(0)
            done = subprocess.run([args.program], stdin=given, stdout=subprocess.PIPE, text=True, check=True)
        ours = done.stdout.split()
        assert len(ours) == len(lines), f"expected {len(lines)} answers, found {len(ours)}"
        told.update(reference)
        for line, expected, found in zip(lines, reference + granted, ours):
            if expected != found:
                wrong += 1
                if wrong <= 5:
                    print(f"expected {expected}, found {found}: {json.dumps(line)}")
        for (why, p), g in zip(properties, granted):
            if g == "allowed":
                wrong += 1
                print(f"{why}: {json.dumps(p)}")
    print(f"{args.cases} cases, {wrong} differ; " + ", ".join(f"{n} {name}" for name, n in sorted(told.items())))
    few = [n for n in ("allowed", "explicitDeny", "implicitDeny", "malformed") if told[n] < args.cases / 100]
    if few:
        print(f"the generator makes too few of {few}")
    return 1 if wrong or few else 0


if __name__ == "__main__":
    sys.exit(main())
