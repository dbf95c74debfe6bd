"""Measures the peers and Vectra in one interleaved run; see README.md."""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys

import adapters
import machine
from arrays import METRICS, Judge
from figures import enough, summary, until_enough, with_text_keys
from peer import PeerFailed, PeerProcess
from table import markdown
from vectra import Vectra

EFFORTS = (10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
# The recalls that Vectra is asked for beside these efforts.
RECALLS = (0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
# The effort of the pass after which memory is read: what vectra-bench asks with there.
MEMORY_EFFORT = 96
# What one engine may do wrong without stopping the others.
FAILURES = (PeerFailed, OSError, ValueError, KeyError, subprocess.SubprocessError)


def arguments(line=None):
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--base", required=True, help="vectors (npy, f16 or f32)")
    add("--queries", required=True, help="query vectors (npy)")
    add("--truth", required=True, help="row numbers of each query's nearest rows, best first (npy)")
    add("--metric", choices=METRICS, default="cosine")
    add("--vectra-bench", required=True, help="the program vectra-bench, built in the release profile")
    add("--work", required=True, help="folder for indexes and logs; emptied first")
    add("--out", required=True, help="where the report goes (JSON)")
    add("--k", type=int, default=10)
    add("--rounds", type=int, default=3)
    add("--only", type=lambda text: text.split(","), default=list(adapters.NAMES), help="peers, such as svs,hnswlib")
    add("--threads", type=int, default=2, help="threads that build")
    add("--core", type=int, help="the core that queries run on; the last one if not given")
    add("--efforts", type=lambda text: [int(part) for part in text.split(",")], default=list(EFFORTS))
    add("--seconds", type=float, default=5.0, help="the most that a peer may spend on one point of one round")
    add("--limit", type=float, default=3600.0, help="seconds after which a step that hangs is stopped")
    add("--revision", default="", help="what was built, for the report")
    add("--command", default="", help="what started this run, for the report")
    options = parser.parse_args(line)
    unknown = [name for name in options.only if name not in adapters.NAMES]
    if unknown:
        parser.error(f"there is no peer {unknown[0]}; the peers are {', '.join(adapters.NAMES)}")
    if options.k < 1 or options.rounds < 1 or options.threads < 1:
        parser.error("--k, --rounds and --threads are at least 1")
    options.efforts = sorted({max(effort, options.k) for effort in options.efforts})
    return options


class Run:
    def __init__(self, options):
        self.options = options
        cores = machine.allowed_cores()
        if cores and options.core is not None and options.core not in cores:
            raise ValueError(f"core {options.core} is not among those this process may use: {cores}")
        self.building = cores[-options.threads:]
        self.asking = [options.core] if cores and options.core is not None else cores[-1:]
        self.judge = Judge(options.base, options.queries, options.truth, options.metric, options.k)
        shutil.rmtree(options.work, ignore_errors=True)
        os.makedirs(options.work)
        rows, dim = self.judge.base.shape
        data = {"base": options.base, "queries": options.queries, "truth": options.truth,
                "metric": options.metric, "k": options.k}
        os.makedirs(self.path("vectra"))
        self.vectra = Vectra(options.vectra_bench, self.path("vectra"), data)
        self.serving = {}
        self.report = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": options.command, "revision": options.revision, "machine": machine.describe(),
            "files": {name: getattr(options, name) for name in ("base", "queries", "truth")},
            "data": {"rows": rows, "dim": dim, "queries": len(self.judge.queries), "metric": options.metric,
                     "k": options.k},
            "rounds": options.rounds, "build_threads": options.threads, "cores": self.asking,
            "engines": {name: {"rounds": []} for name in ["vectra", *options.only]},
            "notes": self.notes(),
        }

    def notes(self):
        notes = []
        if not self.asking:
            notes.append("this system keeps no process on one core")
        elif not shutil.which("taskset"):
            notes.append("taskset is missing: Vectra was not kept on one core")
        if len(self.building) < self.options.threads and self.building:
            notes.append(f"{self.options.threads} threads built on {len(self.building)} cores")
        return notes

    def path(self, *parts):
        return os.path.join(self.options.work, *parts)

    def save(self):
        """Writes the report as it is, so that a run that is cut off leaves what it had."""
        partial = self.options.out + ".partial"
        with open(partial, "w") as file:
            json.dump(self.report, file, indent=1)
            file.write("\n")
        os.replace(partial, self.options.out)

    def attempt(self, name, step):
        """Does `step`; a failure is noted for the table, and the run goes on without this engine."""
        record = self.report["engines"][name]
        try:
            step(record)
        except FAILURES as error:
            record["error"] = str(error)
            say(f"{name}: FAILED: {error}")
            process = self.serving.pop(name, None)
            if process:
                process.kill()
        self.save()

    def sound(self):
        return [name for name, record in self.report["engines"].items() if "error" not in record]

    def build(self, name, record):
        say(f"{name}: building")
        if name == "vectra":
            record["version"] = self.vectra.version()
            record["settings"] = "defaults"
            record.update(self.vectra.build(self.options.threads, self.building, self.options.limit))
            index = self.vectra.index
        else:
            os.makedirs(self.path(name))
            index = self.path(name, "index")
            self.build_peer(name, record, index)
        record["disk_bytes"] = machine.disk_bytes(index)
        say(f"{name}: built in {record['build_s']:.2f} s")

    def build_peer(self, name, record, index):
        process = PeerProcess(name, self.path(name, "log"))
        try:
            record.update(self.start(process, self.building, self.options.base, self.options.threads))
            # As few rows as fill an answer: some libraries refuse to return less than was asked for.
            process.ask("build", self.options.limit, folder=self.path(name, "floor"), rows=self.options.k)
            record.update(process.ask("build", self.options.limit, folder=index))
        finally:
            process.end()

    def start(self, process, cores, data, threads):
        return process.ask("start", self.options.limit, name=process.name, cores=cores, data=data,
                           metric=self.options.metric, k=self.options.k, threads=threads)

    def open(self, name, record):
        if name == "vectra":
            return
        process = self.serving[name] = PeerProcess(name, self.path(name, "log"))
        self.start(process, self.asking, self.options.queries, 1)
        record.update(process.ask(
            "open", self.options.limit, folder=self.path(name, "index"), floor_folder=self.path(name, "floor"),
            effort=max(MEMORY_EFFORT, self.options.k)))

    def round(self, name, record):
        """One sweep; later rounds measure what the first did."""
        first = record["rounds"][0] if record["rounds"] else None
        efforts = [point["effort"] for point in first] if first else self.options.efforts
        if name == "vectra":
            efforts = efforts if first else [*efforts, *RECALLS]
            points, memory = self.vectra.sweep(efforts, self.asking, self.options.limit)
            record.update(memory)
            if not first:
                by_ef, declared = ([p for p in points if (p["effort"] < 1) == is_recall] for is_recall in (False, True))
                points = until_enough(by_ef) + until_enough(declared)
        else:
            floor = self.serving[name].ask("floor", self.options.limit, effort=efforts[0])
            record.setdefault("floors_us", []).append(floor["floor_us"])
            points = self.sweep(self.serving[name], efforts, bool(first))
        record["rounds"].append(points)
        say(f"{name}: round {len(record['rounds'])}: " + ", ".join(
            f"{point['effort']}: {point['recall']:.3f} {point['qps']:,.0f}/s" for point in points))

    def sweep(self, process, efforts, all_of_them):
        import numpy as np
        points, file = [], self.path(process.name, "answers.npy")
        for effort in efforts:
            point = process.ask("measure", self.options.limit, effort=effort, seconds=self.options.seconds, answers=file)
            points.append({"effort": effort, "recall": self.judge.recall(np.load(file)), **point})
            if enough(points[-1]) and not all_of_them:
                break
        return points

    def all(self):
        for name in self.sound():
            self.attempt(name, lambda record: self.build(name, record))
        for name in self.sound():
            self.attempt(name, lambda record: self.open(name, record))
        for _ in range(self.options.rounds):
            for name in self.sound():
                self.attempt(name, lambda record: self.round(name, record))
        for process in self.serving.values():
            process.end()
        self.report["commands"] = self.vectra.commands
        self.report["summary"] = {name: with_text_keys(line) for name, line in summary(self.report["engines"]).items()}
        self.save()
        print(markdown(self.report), flush=True)


def say(text):
    now = datetime.datetime.now().strftime("%H:%M:%S")
    print(f"peers: {now} {text}", flush=True)


if __name__ == "__main__":
    try:
        Run(arguments()).all()
    except (OSError, ValueError) as error:
        sys.exit(f"peers: {error}")
