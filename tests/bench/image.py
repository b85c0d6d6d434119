#!/usr/bin/env python3
"""image.py BUILD WORK [--quick]: times the LINE job with darkroom and its peers
and prints the tables that README.md explains. Called by scripts/bench, which
has installed and built what this needs.
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
CORES = len(os.sched_getaffinity(0))
IMAGEMAGICK = shutil.which("convert-im6.q16") or shutil.which("magick")


class Tool:
    """`looped`: a program that does the job COUNT times, after a warm-up, and
    tells its own CPU time; else one process does the job once."""

    def __init__(self, name, command, looped=True, present=True, **more):
        self.name = name
        self.command = command
        self.looped = looped
        self.present = present
        self.environment = dict(os.environ, **more)

    def argv(self, bench, picture, place, count):
        paths = [bench.picture(picture), *bench.outputs(place)]
        if self.looped:
            return [*self.command, bench.picture("0.3mp.jpg"), *paths,
                    str(count)]
        if self.name == "darkroom convert":
            return [*self.command, "--quiet", paths[0], paths[1],
                    "--preview", paths[2]]
        return [*self.command, *paths]

    def run(self, argv):
        done = subprocess.run(argv, env=self.environment, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{self.name} failed: {done.stderr.strip()}")
        lines = (done.stdout + done.stderr).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def find_tools(build):
    modules = os.path.join(build, "bench", "node_modules")
    node = shutil.which("node")
    sharp = bool(node) and os.path.isdir(os.path.join(modules, "sharp"))
    pillow = ["/usr/bin/python3", os.path.join(HERE, "pillow.py")]
    sharp_js = [node or "node", os.path.join(HERE, "sharp.js")]
    return [
        Tool("darkroom", [f"{build}/tests/tool/transcode_file"], looped=False),
        Tool("sharp", sharp_js, present=sharp, SHARP_MODULES=modules),
        Tool("sharp, tuned", sharp_js, present=sharp, SHARP_MODULES=modules,
             SHARP_TUNED="1"),
        Tool("Pillow", pillow),
        Tool("Pillow, level 1", pillow, PILLOW_LEVEL="1"),
        Tool("darkroom convert", [f"{build}/darkroom", "convert"],
             looped=False),
        Tool("vipsthumbnail", [os.path.join(HERE, "libvips.sh")], looped=False,
             present=bool(shutil.which("vipsthumbnail"))),
        Tool("ImageMagick", [os.path.join(HERE, "imagemagick.sh")],
             looped=False, present=bool(IMAGEMAGICK),
             IMAGEMAGICK=IMAGEMAGICK or ""),
    ]


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Bench:
    def __init__(self, build, work, quick):
        self.build, self.work, self.quick = build, work, quick
        self.pictures = os.path.join(build, "bench", "pictures")
        self.tools = find_tools(build)
        self.samples = {}  # (picture, tool) -> list of dicts
        self.rates = {}    # (picture, tool) -> list of pictures/s
        self.costs = {}    # (picture, tool) -> list of CPU ms a picture
        self.loads = []    # of the machine

    def picture(self, name):
        return os.path.join(self.pictures, name)

    def outputs(self, place):
        return (os.path.join(self.work, f"{place}-original.png"),
                os.path.join(self.work, f"{place}-preview.png"))

    def measure(self, picture, tool):
        outputs = self.outputs("one")
        for path in outputs:
            if os.path.exists(path):
                os.unlink(path)
        sample = tool.run([f"{self.build}/tests/tool/measure",
                           *tool.argv(self, picture, "one", 1)])
        sizes = [os.path.getsize(path) if os.path.exists(path) else 0
                 for path in outputs]
        sample["original"], sample["preview"] = sizes
        self.samples.setdefault((picture, tool.name), []).append(sample)

    def value(self, picture, tool, key):
        """The median, or None if it was not measured."""
        samples = self.samples.get((picture, tool), [])
        values = [float(s[key]) for s in samples if key in s]
        return statistics.median(values) if values else None

    # ---- pictures per second, all cores

    def rate_of_convert(self, tool, picture, count):
        sources = os.path.join(self.work, "sources")
        results = os.path.join(self.work, "results")
        for path in (sources, results):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path)
        names = [os.path.join(sources, f"{i}.jpg") for i in range(count)]
        for name in names:
            shutil.copy(self.picture(picture), name)
        before = children_cpu_s()
        start = time.monotonic()
        tool.run([*tool.command, "--quiet", "--jobs", str(CORES), *names,
                  results, "--preview", self.work])
        rate = count / (time.monotonic() - start)
        self.costs.setdefault((picture, tool.name), []).append(
            (children_cpu_s() - before) * 1000 / count)
        for name in os.listdir(self.work):
            if name[:-4].isdigit():
                os.unlink(os.path.join(self.work, name))
        return rate

    def rate_of_one_core(self, tool, picture, place, count):
        if tool.looped:
            said = tool.run(tool.argv(self, picture, place, count))
            self.costs.setdefault((picture, tool.name), []).append(
                float(said["cpu_ms"]))
            return count * 1000 / float(said["wall_ms"])
        start = time.monotonic()
        for _ in range(count):
            tool.run(tool.argv(self, picture, place, 1))
        return count / (time.monotonic() - start)

    def rate(self, picture, tool, seconds):
        cpu_ms = (self.value(picture, tool.name, "cpu_ms") or
                  self.value(picture, tool.name, "process_cpu_ms"))
        count = max(1, round(seconds * 1000 / cpu_ms))
        if tool.name == "darkroom convert":
            rate = self.rate_of_convert(tool, picture, count * CORES)
        else:
            with ThreadPoolExecutor(CORES) as pool:
                rate = sum(pool.map(
                    lambda place: self.rate_of_one_core(tool, picture, place,
                                                        count),
                    range(CORES)))
        self.rates.setdefault((picture, tool.name), []).append(rate)

    def best_rate(self, picture, tool):
        """What else the machine does only ever slows a tool down, and one
        with more threads less than one with few."""
        return max(self.rates.get((picture, tool), []), default=None)

    def times_faster(self, picture, tool):
        ours = self.best_rate(picture, "darkroom convert")
        theirs = self.best_rate(picture, tool)
        return theirs and ours / theirs

    # ---- all of it

    def names(self):
        """The first four are those that the targets are about."""
        return ["12mp.jpg", "12mp-progressive.jpg", "3mp.jpg", "1mp.jpg",
                "12mp-rotated.jpg", "0.3mp.jpg", "photo.png",
                "screenshot.png"][:4 if self.quick else 8]

    def run(self):
        quick_ones = ("darkroom", "darkroom convert", "sharp", "sharp, tuned",
                      "Pillow")
        tools = [tool for tool in self.tools if tool.present and
                 (not self.quick or tool.name in quick_ones)]
        self.loads = [os.getloadavg()[0]]
        for _ in range(1 if self.quick else 3):
            for name in self.names():
                for tool in tools:
                    self.measure(name, tool)
        for _ in range(1 if self.quick else 6):
            for name in ("12mp.jpg", "1mp.jpg"):
                for tool in tools:
                    if tool.looped or tool.name == "darkroom convert":
                        self.rate(name, tool, 0.5 if self.quick else 1.2)
        self.loads.append(os.getloadavg()[0])
        self.print_all()

    # ---- tables

    def print_all(self):
        loads = ", ".join(f"{load:.1f}" for load in self.loads)
        print(f"darkroom and its peers, {CORES} cores, "
              f"{'one round' if self.quick else 'medians of rounds'}; "
              f"load before and after: {loads}\n")
        print("job: CPU ms of the job alone; whole: with the start of its "
              "process;\nMB: peak memory, original, preview\n")
        for name in self.names():
            self.print_picture(name)
        missing = [tool.name for tool in self.tools if not tool.present]
        if missing:
            print("not installed, so not compared:", ", ".join(missing), "\n")
        self.print_rates()
        self.print_targets()

    def print_picture(self, name):
        size = os.path.getsize(self.picture(name)) / 1e6
        print(f"{name + f', {size:.2f} MB':34}{'job':>8}{'x':>6}"
              f"{'whole':>8}{'x':>6}{'memory':>8}{'orig.':>7}{'prev.':>7}")
        for tool in self.tools:
            job = self.value(name, tool.name, "cpu_ms")
            whole = self.value(name, tool.name, "process_cpu_ms")
            if whole is None:
                continue
            base = self.value(name, "darkroom", "cpu_ms")
            whole_base = self.value(name, "darkroom convert",
                                    "process_cpu_ms")
            cells = [f"{job:8.0f}{job / base:6.1f}" if job else " " * 14,
                     f"{whole:8.0f}{whole / whole_base:6.1f}",
                     f"{self.memory(name, tool.name):8.1f}",
                     f"{self.value(name, tool.name, 'original') / 1e6:7.2f}",
                     f"{self.value(name, tool.name, 'preview') / 1e6:7.2f}"]
            print(f"  {tool.name:32}" + "".join(cells))
        print()

    def memory(self, name, tool):
        return self.value(name, tool, "process_rss_kb") / 1024

    def print_rates(self):
        names = ("12mp.jpg", "1mp.jpg")
        print(f"{'pictures per second, all cores':34}"
              + "".join(f"{name:>10}" for name in names)
              + "".join(f"{name + ', CPU ms':>18}" for name in names))
        for tool in self.tools:
            rates = [self.best_rate(name, tool.name) for name in names]
            costs = [self.costs.get((name, tool.name)) for name in names]
            if all(rates):
                print(f"  {tool.name:32}"
                      + "".join(f"{rate:10.1f}" for rate in rates)
                      + "".join(f"{statistics.median(cost):18.1f}"
                                for cost in costs))
        print()

    def print_target(self, what, value, least, most, unit):
        if value is None:
            print(f"  {what:48}   not measured")
            return
        met = value >= least if least else value <= most
        bound = f">= {least}" if least else f"<= {most}"
        print(f"  {what:48}{value:7.2f}{unit:3} {bound:>8}  "
              f"{'met' if met else 'MISSED'}")

    def print_targets(self):
        print("targets")
        for name, tool, least in (
                ("12mp.jpg", "sharp", 5), ("12mp.jpg", "sharp, tuned", 4),
                ("12mp.jpg", "Pillow", 15), ("1mp.jpg", "sharp", 4.5),
                ("1mp.jpg", "sharp, tuned", 2), ("1mp.jpg", "Pillow", 14)):
            self.print_target(f"{name}: pictures/s of {tool}, times",
                              self.times_faster(name, tool), least, None, "x")
        ours = self.value("3mp.jpg", "darkroom", "original")
        theirs = self.value("3mp.jpg", "Pillow", "original")
        self.print_target("3mp.jpg: size above Pillow's (zlib 6, all filters)",
                          100 * (ours / theirs - 1), None, 10, "%")
        for name, most in (("12mp.jpg", 12), ("12mp-progressive.jpg", 48)):
            self.print_target(f"{name}: peak memory",
                              self.memory(name, "darkroom"), None, most, "MB")
        for key, most in (("p99_call_ms", 3), ("max_call_ms", 5)):
            for name in ("12mp.jpg", "12mp-progressive.jpg"):
                self.print_target(f"{name}: one push of 16 KB, "
                                  f"{key.split('_')[0]} CPU",
                                  self.value(name, "darkroom", key), None,
                                  most, "ms")


def main():
    build, work = (os.path.abspath(path) for path in sys.argv[1:3])
    Bench(build, work, "--quick" in sys.argv[3:]).run()


main()
