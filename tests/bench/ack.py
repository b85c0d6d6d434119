#!/usr/bin/env python3
"""ack.py STACK SIM URL POOL PICTURES [--quick]: times the answers to webhooks,
first on a machine that has nothing else to do and then while every core decodes
pictures of 12 MP, and prints the tables that README.md explains. Called by
scripts/bench, which has started nginx, the pool and the simulator.

    STACK     their directory: certificate and pool.log
    SIM, URL  of the simulator's control calls, and of nginx
    POOL      the number of the pool's process
    PICTURES  what pictures.py made
"""
import json
import os
import random
import re
import ssl
import sys
import threading
import time
import urllib.request

CORES = len(os.sched_getaffinity(0))
TICKS_S = os.sysconf("SC_CLK_TCK")
RATE_S = 40        # paced webhooks in a second, random like those of strangers
BURST = 50         # at once
LOAD_EVENTS = 32   # pictures of 12 MP in one webhook of the load
LOAD_PENDING = 64  # below it comes the next: two seconds of work for two cores
QUANTILES = (0.5, 0.9, 0.99, 1)


def percentile(values, share):
    values = sorted(values)
    return values[max(0, int(len(values) * share + 0.5) - 1)]


class Machine:
    """What the cores do, and the labs of this pool."""

    def __init__(self, pool):
        self.pool = pool

    def labs_cpu_s(self):
        """CPU time so far of the pool's processes called darkroom-lab."""
        parents, ticks = {}, {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                continue
            fields = rest.split()
            parents[pid] = fields[1]
            if name == "darkroom-lab":
                ticks[pid] = int(fields[11]) + int(fields[12])
        return sum(ticks[pid] for pid in ticks
                   if self.is_ours(pid, parents)) / TICKS_S

    def is_ours(self, pid, parents):
        while pid in parents and pid != self.pool:
            pid = parents[pid]
        return pid == self.pool

    def look(self):
        with open("/proc/stat", encoding="utf-8") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        idle_s = (ticks[3] + ticks[4]) / TICKS_S
        return time.monotonic(), idle_s, self.labs_cpu_s()

    @staticmethod
    def told(before, after):
        cores_s = (after[0] - before[0]) * CORES
        return (f"labs {100 * (after[2] - before[2]) / cores_s:.0f} % of the "
                f"cores, idle {100 * (after[1] - before[1]) / cores_s:.0f} %")


class Sim:
    def __init__(self, url):
        self.url = url

    def call(self, path, members=None):
        body = json.dumps(members).encode() if members is not None else None
        request = urllib.request.Request(
            f"{self.url}/sim/{path}", body,
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def send(self, picture, count=1, **members):
        """Sends; returns the ids."""
        answer = self.call("photo", {"file": picture, "count": count} |
                           members)
        return [photo["message_id"] for photo in answer["photos"]]

    def pending(self):
        return self.call("state?count=0")["totals"]["pending"]

    def photos(self):
        photos, first = {}, 0
        while True:
            page = self.call(f"state?from={first}&count=5000")["photos"]
            photos |= {photo["message_id"]: photo for photo in page}
            if len(page) < 5000:
                return photos
            first += 5000


class Load(threading.Thread):
    """Pictures of 12 MP, so many that the labs never wait for one."""

    def __init__(self, sim, picture):
        super().__init__(daemon=True)
        self.sim = sim
        self.picture = picture
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            if self.sim.pending() < LOAD_PENDING:
                self.sim.send(self.picture, LOAD_EVENTS, batch=LOAD_EVENTS)

    def wait_until_busy(self, machine):
        until = time.monotonic() + 20
        busy_s = 0
        while busy_s < 0.4 * CORES and time.monotonic() < until:
            before = machine.labs_cpu_s()
            time.sleep(1)
            busy_s = machine.labs_cpu_s() - before


class Histogram:
    """webhook_ack of /metrics: what all workers measured together."""

    def __init__(self, url, ca_file):
        context = ssl.create_default_context(cafile=ca_file)
        with urllib.request.urlopen(f"{url}/metrics", timeout=10,
                                    context=context) as answer:
            text = answer.read().decode()
        self.buckets = [(float(bound), int(count)) for bound, count in
                        re.findall(r'webhook_ack_seconds_bucket\{le="([^"]+)"'
                                   r'\} (\d+)', text)]

    def median_ms(self, before):
        """Of what was measured since, between the bounds of its bucket."""
        counts = [(bound, count - old) for (bound, count), (_, old) in
                  zip(self.buckets, before.buckets)]
        rank, below, lower = counts[-1][1] / 2, 0, 0.0
        for bound, count in counts:
            if count >= rank > 0:
                return 1000 * (lower + (bound - lower) * (rank - below) /
                               (count - below))
            below, lower = count, bound
        return float("nan")


class Bench:
    def __init__(self, stack, sim, url, pool, pictures, quick):
        self.stack = stack
        self.sim = Sim(sim)
        self.url = url
        self.machine = Machine(pool)
        self.small = os.path.abspath(f"{pictures}/0.3mp.jpg")
        self.large = os.path.abspath(f"{pictures}/12mp.jpg")
        self.scale = 0.15 if quick else 1
        self.random = random.Random(1)  # the same gaps in every run
        self.sent = {}                  # (load, kind): ids
        self.medians = {}               # load: of the workers' own histogram
        self.fsync_us = {}

    def histogram(self):
        return Histogram(self.url, f"{self.stack}/cert.pem")

    def note(self, load, kind, ids):
        self.sent.setdefault((load, kind), []).extend(ids)

    def step(self, text, seconds):
        if sys.stderr.isatty():
            print(f"\r{text}, {seconds:.0f} s\033[K", end="", file=sys.stderr)

    def paced(self, load, seconds):
        """Kept connections and new ones in turn, so that both see the same."""
        seconds *= self.scale
        self.step(f"{load}: {RATE_S} webhooks a second", seconds)
        begin = due = time.monotonic()
        fresh = False
        while due < begin + seconds:
            time.sleep(max(0, due - time.monotonic()))
            self.note(load, "new" if fresh else "kept",
                      self.sim.send(self.small, fresh_connections=fresh))
            fresh = not fresh
            due += self.random.expovariate(RATE_S)

    def bursts(self, load, count):
        """The first one makes the connections."""
        count = max(2, int(count * self.scale))
        self.step(f"{load}: bursts of {BURST}", count)
        for i in range(count):
            ids = self.sim.send(self.small, BURST, parallel=BURST, wait=True)
            if i > 0:
                self.note(load, "burst", ids)
            time.sleep(1)

    def fsync(self, load):
        """The disk's share, from outside: pages of a file that does not grow,
        like the queue's log after its first minutes."""
        page, times = bytes(4096), []
        path = f"{self.stack}/fsync"
        fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(fd, page * 200)
        os.fsync(fd)
        for i in range(200):
            os.pwrite(fd, page, i * len(page))
            begin = time.perf_counter()
            os.fdatasync(fd)
            times.append((time.perf_counter() - begin) * 1e6)
            time.sleep(0.005)
        os.close(fd)
        os.unlink(path)
        self.fsync_us[load] = times

    def measure(self, load, paced_s, bursts):
        histogram, looked = self.histogram(), self.machine.look()
        self.paced(load, paced_s)
        told = Machine.told(looked, self.machine.look())
        self.medians[load] = self.histogram().median_ms(histogram), told
        self.fsync(load)
        self.bursts(load, bursts)

    def run(self):
        self.sim.send(self.small, 8, parallel=8, wait=True)  # warms up
        self.measure("quiet", 15, 6)
        load = Load(self.sim, self.large)
        load.start()
        load.wait_until_busy(self.machine)
        self.measure("busy", 40, 12)
        load.over.set()
        load.join()
        self.step("the tables", 1)
        self.print_all()

    # ---- the tables

    def workers_us(self):
        """By message: what a worker says of its answer."""
        with open(f"{self.stack}/pool.log", encoding="utf-8") as file:
            return {match[1]: int(match[2]) for match in
                    re.finditer(r" event=accepted job=(\d+) .*?ack_us=(\d+)",
                                file.read())}

    def rows(self, load, photos, workers):
        def of(kind, value):
            return [value(photos[each]) for each in self.sent[load, kind]
                    if photos[each]["ack_status"] == 200]

        def ack(photo):
            return photo["ack_us"]

        def worker(photo):
            return workers[photo["message_id"]]

        return {
            "kept connection": of("kept", ack),
            "new connection": of("new", ack),
            "  with its TLS handshake":
                of("new", lambda photo: ack(photo) + photo["connect_us"]),
            f"burst of {BURST}": of("burst", ack),
            "of a kept one, in the worker": of("kept", worker),
            "  outside": of("kept", lambda each: ack(each) - worker(each)),
            "of a burst, in the worker": of("burst", worker),
            "fdatasync of 4 KB": self.fsync_us[load],
        }

    def print_all(self):
        photos, workers = self.sim.photos(), self.workers_us()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        quiet = self.rows("quiet", photos, workers)
        print(f"ms until a webhook is answered with 200, {CORES} cores, "
              f"{RATE_S}/s; load {os.getloadavg()[0]:.1f}")
        for load in ("quiet", "busy"):
            rows = self.rows(load, photos, workers)
            median_ms, told = self.medians[load]
            print(f"\n{load + ': ' + told:46}"
                  "n     p50     p90     p99     max  p50, p99 / quiet")
            for name, values in rows.items():
                self.print_row(name, values, quiet[name])
            print(f"  {'median by /metrics, paced':41}    {median_ms:8.2f}")
        failed = sum(photo["ack_status"] != 200 for photo in photos.values())
        self.print_targets(self.rows("busy", photos, workers), failed)

    @staticmethod
    def print_row(name, values, quiet):
        told = [percentile(values, share) / 1000 for share in QUANTILES]
        base = [percentile(quiet, share) / 1000 for share in QUANTILES]
        ratios = ""
        if values is not quiet and base != told:
            ratios = f"  {told[0] / base[0]:6.1f}x {told[2] / base[2]:6.1f}x"
        print(f"  {name:40}{len(values):5}" +
              "".join(f"{ms:8.2f}" for ms in told) + ratios)

    @staticmethod
    def print_targets(busy, failed):
        kept = busy["kept connection"] + busy["new connection"]
        every = kept + busy[f"burst of {BURST}"]
        print("\ntargets, busy")
        for what, value, most in (
                ("paced: median", percentile(kept, 0.5) / 1000, 2),
                ("paced: p99", percentile(kept, 0.99) / 1000, 100),
                ("all: slowest (LINE's limit)", max(every) / 1000, 2000),
                ("not answered with 200", failed, 0)):
            verdict = "met" if value <= most else "MISSED"
            print(f"  {what:44}{value:9.2f}  <= {most:4}  {verdict}")


def main():
    quick = "--quick" in sys.argv[6:]
    Bench(*sys.argv[1:6], quick).run()


main()
