#!/usr/bin/python3
"""Brings jobs to where tests/data/decisions.tsv has them, and looks what comes.

    decisions.py hold SIM STATE PICTURE    sends a photo for each row, and holds
                                           each where its row begins
    decisions.py place SIM STATE           with no worker running: rows of the
                                           queue as the situations want them
    decisions.py release SIM STATE         the faults are in force, the jobs due
    decisions.py receipts SIM STATE        a line for each row:
                                           RESULT <tab> NAME <tab> WHAT CAME

STATE is the directory of the pool's state; what is known of the rows is kept
beside it. RESULT is ok, wrong, or skip with the reason why this row can not be
provoked from outside.

Time is not waited for: a job's received_ms is set so that the moment which the
row is about is near. That is what a worker finds that was down for so long.
"""

import json
import pathlib
import re
import sqlite3
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LATE_MARGIN_MS = 8_000
STAGES = {"fetch": 0, "reply": 1, "push": 2, "failure": 3}
READY, DONE = 0, 2
OUTCOMES = ("none replied pushed failure_text withdrawn dead skipped "
            "removed").split()
UNSEND = 3

# Statuses that no platform can cause: the unit test has them.
OF_THE_MACHINE = {"machine", "setup", "other", "lab"}
CONTENT = {
    "empty": {"empty": True},
    "cut": {"cut_after_bytes": 1000},
    "stall": {"stall_after_bytes": 1000},
    "drop": {"drop": True},
    "429+120": {"status": 429, "retry_after_s": 120},
}
ANSWERS = {
    "400used": {"fault": "status", "status": 400},
    "400": {"fault": "status", "status": 400, "details": True},
    "429+120": {"fault": "status", "status": 429, "retry_after_s": 120},
    "429quota": {"fault": "none"},
    "drop": {"fault": "close"},
    "stall": {"fault": "hang"},
}
HOLD_CONTENT = {"status": 202}
HOLD_ANSWER = {"fault": "status", "status": 429}


def now_ms():
    return int(time.time() * 1000)


def status_texts():
    source = (TOP / "lib/status.h").read_text(encoding="utf-8")
    pairs = re.findall(r'X\((\w+), \w+,[\s\\]*"([^"]*)"\)', source)
    return dict(pairs)


def read_rows():
    rows = []
    path = TOP / "tests/data/decisions.tsv"
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")):
        if not line or line.startswith("#"):
            continue
        stage, policy, situation, fault, status, _, outcome, reason = \
            line.split("\t")
        rows.append({
            "number": number + 1, "stage": stage,
            "policy": policy.replace("-", "").split(),
            "situation": situation.replace("-", "").split(),
            "fault": fault, "status": status.split(",")[0],
            "outcome": outcome, "reason": reason,
            "name": f"{stage}, {fault}"
                    + (f", {situation}" if situation != "-" else "")
                    + (f", {policy}" if policy != "-" else "")})
    return rows


def why_not(row):
    """Why a row can not be provoked from outside; None if it can."""
    stage, fault = row["stage"], row["fault"]
    situation, policy = row["situation"], row["policy"]
    if fault in OF_THE_MACHINE:
        return "no platform can cause it"
    if stage == "reply" and fault in ("refused", "cut"):
        return "the simulator can not refuse one connection of many"
    if policy == ["busy"]:
        return "settings refuse late=busy without push"
    if stage == "reply" and fault == "published" and \
            ("over" in situation or "set" in situation):
        return "needs a moment between two steps"
    if stage == "fetch" and "file" in situation and "picture" in situation:
        return "no such picture is at hand"
    if "late" in situation and fault == "500" and policy:
        return "a minute and an hour would have to be near at once"
    if "doubtful" in situation and "last" in situation:
        return "the pushes of an hour can not be counted down"
    return None


# ---- the simulator and the queue


def post(sim, call, members):
    request = urllib.request.Request(
        f"{sim}/sim/{call}", json.dumps(members).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def queue(state):
    return sqlite3.connect(f"{state}/queue.db", timeout=20,
                           isolation_level=None)


def job_of(db, row):
    db.row_factory = sqlite3.Row
    kind = "= 3" if row["stage"] == "unsend" else "<> 3"
    return db.execute(f"SELECT * FROM job WHERE message_id = ? AND kind {kind}",
                      (row["message_id"],)).fetchone()


def load(state):
    with open(f"{state}.rows", encoding="utf-8") as file:
        return json.load(file)


def save(state, rows):
    with open(f"{state}.rows", "w", encoding="utf-8") as file:
        json.dump(rows, file)


# ---- hold: each job comes to its stage, and no further


def channel_of(row):
    if row["fault"] == "budget":
        return "budget"
    return "_".join(row["policy"]) or "plain"


def file_of(row, files):
    if row["stage"] == "failure" or row["fault"] == "picture":
        return files["broken"]
    return files["text"] if row["fault"] == "html" else files["good"]


def hold(sim, state, picture):
    bytes_ = pathlib.Path(picture).read_bytes()
    files = {"good": picture, "broken": f"{state}.broken.jpg",
             "text": str(TOP / "LICENSE")}
    pathlib.Path(files["broken"]).write_bytes(bytes_[:len(bytes_) // 3])
    rows = read_rows()
    for row in rows:
        row["skip"] = why_not(row)
        if row["skip"]:
            continue
        members = {"file": file_of(row, files), "wait": True,
                   "channel_path": f"/webhook/{channel_of(row)}"}
        if "file" in row["situation"]:
            members["kind"] = "file"
        if "external" in row["situation"]:
            members |= {"kind": "external",
                        "external_url": "https://127.0.0.1:1/a.jpg"}
            del members["file"]
        if is_fetched_late(row):
            members["behaviour"] = HOLD_CONTENT
        elif row["stage"] == "push":
            members |= {"reply": ANSWERS["400"], "push": HOLD_ANSWER}
            if row["fault"] == "budget":
                members["reply"] = HOLD_ANSWER
        elif row["stage"] != "unsend":
            members["reply"] = HOLD_ANSWER
        photo = post(sim, "photo", members)["photos"][0]
        row["message_id"] = photo["message_id"]
    save(state, rows)
    wait_for(state, rows, is_held, 40)


def is_fetched_late(row):
    return row["stage"] == "fetch" or row["fault"] == "published"


def is_held(row, job):
    if "external" in row["situation"] or row["stage"] == "unsend":
        return True
    if job is None or job["state"] != READY:
        return False
    wanted = 0 if is_fetched_late(row) else STAGES[row["stage"]]
    return job["stage"] == (1 if row["fault"] == "budget" else wanted)


def wait_for(state, rows, test, seconds):
    """Until the test is true of each row's job, once."""
    db, until = queue(state), time.monotonic() + seconds
    left = [row for row in rows if not row["skip"]]
    while left and time.monotonic() < until:
        left = [row for row in left if not test(row, job_of(db, row))]
        time.sleep(0.1)
    for row in left:
        job = job_of(db, row)
        print(f"# line {row['number']}, {row['name']}:",
              dict(job) if job else "no job", file=sys.stderr)


# ---- place: what the jobs have behind them


def placed(row, texts):
    """What is known of a job before its worker comes: columns and values."""
    situation = row["situation"]
    columns = {"state": READY, "owner": None, "due_ms": now_ms() + DAY_MS,
               "attempts": 0, "last_status": "OK", "reason": "",
               "reply_in_doubt": int("doubt" in situation),
               "token_spent": int("spent" in situation)}
    if "last" in situation:
        columns["attempts"] = 11
    if "crashed" in situation:
        columns["attempts"] = 13
    if row["stage"] == "failure":
        columns |= {"last_status": "IMAGE_BROKEN",
                    "reason": texts["IMAGE_BROKEN"]}
    elif row["stage"] == "push":
        columns |= {"last_status": "TOKEN_EXPIRED",
                    "reason": "the token is over"}
    elif "late" in situation and row["fault"] == "500":
        columns |= {"last_status": "SERVER_ERROR",
                    "reason": texts["SERVER_ERROR"] + ": HTTP 500"}
    return columns


def place(_, state):
    rows, texts, db = load(state), status_texts(), queue(state)
    db.execute("BEGIN IMMEDIATE")
    for row in rows:
        job = None if row["skip"] else job_of(db, row)
        if job is None or job["state"] >= DONE:
            continue
        columns = placed(row, texts)
        db.execute(f"UPDATE job SET {', '.join(f'{c} = ?' for c in columns)} "
                   "WHERE id = ?", (*columns.values(), job["id"]))
    db.execute("INSERT INTO push_count VALUES ('budget', ?, 1)",
               (time.strftime("%Y-%m", time.gmtime()),))
    db.execute("COMMIT")


# ---- release: the moment, and the fault


def age_ms(row):
    situation, fault = row["situation"], row["fault"]
    ends = row["stage"] == "push" or "push" in row["policy"]
    if "hour" in situation:
        return HOUR_MS + 1000
    if "over" in situation:
        near_end = ends and fault not in ("claim", "200", "published")
        return HOUR_MS - 6000 if near_end else MINUTE_MS + 1000
    if "margin" in situation:
        return MINUTE_MS - 1900
    if fault == "moment":
        return MINUTE_MS - LATE_MARGIN_MS - 2000
    if "late" in situation:
        return MINUTE_MS - 4000
    return MINUTE_MS - LATE_MARGIN_MS - 8000


def behaviour(row):
    stage, fault = row["stage"], row["fault"]
    members = {"message_id": row["message_id"], "content": {"status": 200},
               "reply": {"fault": "none"}, "push": {"fault": "none"}}
    if fault == "moment":
        members["content"]["stall_after_bytes"] = 1000
        members["content"]["stall_ms"] = 6000
    elif stage == "fetch":
        members["content"] |= CONTENT.get(
            fault, {"status": int(fault)} if fault.isdigit() else {})
    elif fault in ANSWERS or (fault.isdigit() and fault != "200"):
        call = "push" if stage == "push" else "reply"
        members[call] = ANSWERS[fault] if fault in ANSWERS else \
            {"fault": "status", "status": int(fault)}
    return members


def release(sim, state):
    rows, db = load(state), queue(state)
    live = [row for row in rows if not row["skip"]]
    for row in live:
        if row["stage"] == "unsend":
            post(sim, "unsend", {"message_id": row["message_id"]})
        else:
            post(sim, "behaviour", behaviour(row))
    # The quota is the platform's, for all pushes: its row comes last.
    first = [row for row in live if row["fault"] != "429quota"]
    last = [row for row in live if row["fault"] == "429quota"]
    make_due(db, first)
    wait_for(state, first, has_ended, 60)
    post(sim, "behaviour", {"push_quota": 0})
    make_due(db, last)
    wait_for(state, last, has_ended, 20)


def make_due(db, rows):
    db.execute("BEGIN IMMEDIATE")
    for row in rows:
        now = now_ms()
        db.execute(
            "UPDATE job SET due_ms = ?, received_ms = ? WHERE message_id = ? "
            "AND kind <> ? AND state = ?",
            (now, now - age_ms(row), row["message_id"], UNSEND, READY))
    db.execute("COMMIT")


def has_ended(_, job):
    return job is not None and job["state"] >= DONE


# ---- receipts


def is_reason(wanted, got, text):
    """Words of LINE's, or numbers, may stand in the place of an HTTP status."""
    if wanted == "-":
        return got in ("", "the published picture was removed")
    wanted = wanted.replace(": HTTP 429", "")
    parts = wanted.replace("{text}", text).split("; ")
    return got.startswith(parts[0][:80]) and \
        all(part[:20] in got for part in parts[1:])


def receipts(_, state):
    rows, texts, db = load(state), status_texts(), queue(state)
    for row in rows:
        if row["skip"]:
            print("skip", row["name"], row["skip"], sep="\t")
            continue
        job = job_of(db, row)
        outcome, reason = (OUTCOMES[job["outcome"]], job["reason"]) if job \
            else ("no job", "")
        text = texts.get(row["status"], "")
        if row["fault"] == "picture":
            text = texts["IMAGE_TRUNCATED"]
        good = outcome == row["outcome"] and \
            is_reason(row["reason"], reason, text)
        print("ok" if good else "wrong",
              f"line {row['number']}: {row['name']}",
              f"{outcome}: {reason} (wanted {row['outcome']}: "
              f"{row['reason'].replace('{text}', text)})", sep="\t")


def main(arguments):
    commands = {"hold": hold, "place": place, "release": release,
                "receipts": receipts}
    if len(arguments) < 3 or arguments[0] not in commands:
        sys.exit(__doc__)
    commands[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
