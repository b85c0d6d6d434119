#!/usr/bin/python3
"""A soak: many webhooks at once with every fault mixed in, and their receipts.

    soak.py run SIM STATE PICTURE COUNT    sends COUNT photos, a share of each
                                           fault, and waits for all receipts
    soak.py judge SIM STATE                a line for each thing to be sure of:
                                           NAME <tab> GOT <tab> WANTED

What each kind of photo must come to is in the table below. A worker may die
in the middle of it all, so some kinds have a second way to end: a reply whose
answer nobody saw is repeated, and the refusal of its token read as delivery.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import sqlite3
import sys
import time
import urllib.request

OUTCOMES = ("none replied pushed failure_text withdrawn dead skipped "
            "removed").split()
UNSEND, DONE = 3, 2
PATIENCE_S = 200

ONCE = {"tries": 1}
# kind: (members of /sim/photo, outcomes that are right)
KINDS = {
    "good": ({}, "replied"),
    "duplicate": ({}, "replied"),
    "set": ({"set": True}, "replied"),
    "file": ({"kind": "file"}, "replied"),
    "202": ({"behaviour": {"status": 202, "status_tries": 2}}, "replied"),
    "404": ({"behaviour": {"status": 404}}, "failure_text"),
    "410": ({"behaviour": {"status": 410}}, "withdrawn"),
    "429": ({"behaviour": {"status": 429, "status_tries": 1,
                           "retry_after_s": 1}}, "replied"),
    "500": ({"behaviour": {"status": 500, "status_tries": 1}}, "replied"),
    "cut": ({"behaviour": {"cut_after_bytes": 9000, "cut_tries": 1}},
            "replied"),
    "short": ({"behaviour": {"short_bytes": 9}}, "replied"),
    "stalled": ({"behaviour": {"stall_after_bytes": 9000, "stall_ms": 2000,
                               "stall_tries": 1}}, "replied"),
    "empty": ({"behaviour": {"empty": True}}, "failure_text"),
    "no picture": ({}, "failure_text"),
    "reply 500": ({"reply": {"fault": "status"} | ONCE}, "replied"),
    "reply unseen": ({"reply": {"fault": "close", "effect": True} | ONCE},
                     "replied"),
    "reply 429": ({"reply": {"fault": "status", "status": 429} | ONCE},
                  "replied"),
    "reply refused": ({"reply": {"fault": "status", "status": 400}},
                      "pushed replied"),
    "unsent after": ({}, "replied withdrawn"),
    "unsent during": ({"behaviour": {"rate_bytes_s": 20000}},
                      "withdrawn replied"),
    "unsent before": ({"send": False}, "withdrawn"),
}


def post(sim, call, members, timeout=120):
    request = urllib.request.Request(
        f"{sim}/sim/{call}", json.dumps(members).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def until_accepted(sim, call, message_id):
    """LINE sends an event again when its webhook was not answered 2xx."""
    for attempt in range(30):
        members = {"message_id": message_id}
        if call == "repeat":
            members["redelivery"] = attempt > 0
        if post(sim, call, members)["status"] == 200:
            return
        time.sleep(0.3)


def send(sim, kind, count, files):
    members = {"file": files.get(kind, files["good"]), "wait": True,
               "redeliver_on_error": True, "redeliveries": 30,
               "redelivery_interval_ms": 300, "parallel": 4} | KINDS[kind][0]
    ids = []
    step = 5 if kind == "set" else count
    for _ in range(0, count, step):
        answer = post(sim, "photo", members | {"count": step})
        ids += [photo["message_id"] for photo in answer["photos"]]
    if kind == "duplicate":
        for each in ids:
            until_accepted(sim, "repeat", each)
    if kind.startswith("unsent"):
        if kind == "unsent after":
            time.sleep(5)
        for each in ids:
            until_accepted(sim, "unsend", each)
    if kind == "unsent before":
        for each in ids:
            until_accepted(sim, "repeat", each)
    return kind, ids


def queue(state):
    db = sqlite3.connect(f"{state}/queue.db", timeout=20)
    db.row_factory = sqlite3.Row
    return db


def run(sim, state, picture, count):
    text = pathlib.Path(__file__).resolve().parents[2] / "LICENSE"
    files = {"good": picture, "no picture": str(text)}
    each = int(count) // 20
    counts = {kind: each for kind in KINDS}
    counts["good"] = int(count) - each * (len(KINDS) - 1)
    with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
        jobs = [pool.submit(send, sim, kind, counts[kind], files)
                for kind in KINDS if counts[kind] > 0]
        kinds = dict(job.result() for job in jobs)
    with open(f"{state}.soak", "w", encoding="utf-8") as file:
        json.dump(kinds, file)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        left = queue(state).execute("SELECT count(*) FROM job WHERE state < ?",
                                    (DONE,)).fetchone()[0]
        if left == 0:
            return
        time.sleep(0.5)


def published(state):
    public = pathlib.Path(state) / "public"
    return {str(path.relative_to(public)) for path in public.glob("*/*.png")}


def judge_receipts(kinds, rows):
    for kind, ids in kinds.items():
        got = collections.Counter(OUTCOMES[rows[each]["outcome"]]
                                  for each in ids if each in rows)
        wrong = {name: n for name, n in got.items()
                 if name not in KINDS[kind][1].split()}
        told = ", ".join(f"{n} {name}" for name, n in got.most_common())
        print(f"{len(ids)} photos, {kind}: {told}", wrong or "right", "right",
              sep="\t")


def looked_at(sim):
    """The simulator's state when it has seen the pictures of all answers."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with urllib.request.urlopen(f"{sim}/sim/state", timeout=60) as answer:
            seen = json.load(answer)
        if (time.monotonic() > until or
                all(photo["verdict"] != "unchecked"
                    for photo in seen["photos"])):
            return seen
        time.sleep(0.5)


def judge(sim, state):
    with open(f"{state}.soak", encoding="utf-8") as file:
        kinds = json.load(file)
    all_rows = queue(state).execute("SELECT * FROM job").fetchall()
    pictures = [row for row in all_rows if row["kind"] != UNSEND]
    rows = {row["message_id"]: row for row in pictures}
    unsent = {row["message_id"] for row in all_rows if row["kind"] == UNSEND}
    sent = sum(len(ids) for ids in kinds.values())
    print("a receipt for each photo", len(pictures), sent, sep="\t")
    print("each with one outcome",
          sum(row["outcome"] == 0 or row["state"] < DONE for row in all_rows),
          0, sep="\t")
    judge_receipts(kinds, rows)
    kept = {name for row in pictures
            if OUTCOMES[row["outcome"]] in ("replied", "pushed")
            and row["message_id"] not in unsent
            for name in (row["original_name"], row["preview_name"])}
    there = published(state)
    print("nothing is published that should not be", len(there - kept), 0,
          sep="\t")
    print("and nothing is missing", len(kept - there), 0, sep="\t")
    seen = looked_at(sim)
    answered = {photo["message_id"]: photo for photo in seen["photos"]}
    print("nobody was answered twice",
          seen["totals"]["replied_more_than_once"], 0, sep="\t")
    silent = [each for each, row in rows.items()
              if OUTCOMES[row["outcome"]] in ("replied", "pushed")
              and "assumed" not in row["reason"]
              and not answered[each]["verdict"] == "ok"]
    print("whoever was answered has good pictures or had them taken back",
          len([each for each in silent if each not in unsent]), 0, sep="\t")


def main(arguments):
    commands = {"run": run, "judge": judge}
    if len(arguments) < 3 or arguments[0] not in commands:
        sys.exit(__doc__)
    os.umask(0o077)
    commands[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
