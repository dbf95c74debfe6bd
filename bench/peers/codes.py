"""Measures codes of Vectra beside those of faiss and turbovec, rung by rung, in turns on one core; see README.md."""

import argparse
import datetime
import json
import os
import subprocess
import time
from statistics import median

import numpy as np

import machine
from arrays import METRICS, Judge, load, scores

# Each rung of Vectra and what it is held against: a factory string of faiss, or turbovec with so many bits. Those of one
# line take as many bytes, as far as their makers let them.
PAIRS = (
    ("sq8", "SQ8"),
    ("sq4", "SQ4"),
    ("rotated-sq4", "turbovec4"),
    ("projected-sq8", None),
    ("projected-sq4", "turbovec4"),
    ("signs", "RaBitQfs"),
    ("rabitq-1", "RaBitQ"),
    ("rabitq-2", "RaBitQ2"),
    ("rabitq-3", "RaBitQ3"),
    ("rabitq-4", "RaBitQ4"),
    ("rabitq-5", "RaBitQ5"),
    ("rabitq-6", "RaBitQ6"),
    ("rabitq-7", "RaBitQ7"),
    ("rabitq-8", "RaBitQ8"),
    ("binary", None),
    ("pq-{half}x4", "PQ{half}x4fs"),
    ("pq-{quarter}x4", "PQ{quarter}x4fs"),
    ("opq-{quarter}x4", "OPQ{quarter},PQ{quarter}x4fs"),
    ("pq-{quarter}x8", "PQ{quarter}"),
    ("pq-{eighth}x8", "PQ{eighth}"),
    ("opq-{eighth}x8", "OPQ{eighth},PQ{eighth}"),
)
# Candidates that are compared exactly, in multiples of k.
RERANKED = (2, 5, 10)
# Queries that are asked one by one in a pass, where a pass of all would take long.
SECONDS = 3.0


def pairs(dim):
    """The pairs for vectors of `dim` components, whose pieces are components by two, four and eight."""
    pieces = {"half": dim // 2, "quarter": dim // 4, "eighth": dim // 8}
    return [(rung.format(**pieces), spec and spec.format(**pieces)) for rung, spec in PAIRS]


def arguments(line=None):
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--base", required=True, help="vectors (npy, f16 or f32)")
    add("--queries", required=True, help="query vectors (npy)")
    add("--truth", required=True, help="row numbers of each query's nearest rows, best first (npy)")
    add("--metric", choices=METRICS, default="cosine")
    add("--vectra-bench", required=True, help="the program vectra-bench, built in the release profile")
    add("--out", required=True, help="where the report goes (JSON)")
    add("--k", type=int, default=10)
    add("--rounds", type=int, default=3)
    add("--only", type=lambda text: text.split(","), default=[], help="rungs, such as sq8,sq4")
    add("--core", type=int, help="the core that everything runs on; the last one if not given")
    add("--work", default="", help="not used: nothing is written but the report")
    add("--revision", default="", help="what was built, for the report")
    add("--command", default="", help="what started this run, for the report")
    return parser.parse_args(line)


class Ours:
    """The process of vectra-bench that encoded a rung and takes a turn when asked."""

    def __init__(self, options, rung):
        command = [options.vectra_bench, "codes", "--base", options.base, "--queries", options.queries, "--truth",
                   options.truth, "--metric", options.metric, "--k", str(options.k), "--turns", "1", "--candidates",
                   ",".join(str(times * options.k) for times in RERANKED), "--rungs", rung, "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.line = json.loads(self.answer())

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"vectra-bench ended with status {self.process.wait()}")
        return line

    def turn(self, candidates):
        """Microseconds a query; None if these codes cannot be asked so."""
        self.process.stdin.write(f"{candidates}\n")
        self.process.stdin.flush()
        answer = self.answer().strip()
        return None if answer == "none" else float(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Faiss:
    def __init__(self, spec, rows, metric):
        import faiss
        faiss.omp_set_num_threads(1)
        kind = faiss.METRIC_INNER_PRODUCT if metric == "dot" else faiss.METRIC_L2
        self.index = faiss.index_factory(rows.shape[1], spec, kind)
        start = time.perf_counter()
        self.index.train(rows)
        self.train_s = time.perf_counter() - start
        start = time.perf_counter()
        self.index.add(rows)
        self.encode_s = time.perf_counter() - start
        self.bytes = self.code_bytes()
        self.name = f"faiss {faiss.__version__} {spec}"

    def code_bytes(self):
        index = self.index
        while hasattr(index, "index"):  # what a rotation stands before
            import faiss
            index = faiss.downcast_index(index.index)
        for name in ("sa_code_size", "code_size"):
            try:
                value = getattr(index, name)
                return int(value() if callable(value) else value)
            except (AttributeError, RuntimeError):
                pass
        return None

    def search(self, queries, count):
        return self.index.search(queries, count)[1]


class Turbovec:
    def __init__(self, bits, rows):
        os.environ["RAYON_NUM_THREADS"] = "1"
        import turbovec
        start = time.perf_counter()
        self.index = turbovec.TurboQuantIndex(rows.shape[1], bits)
        self.index.calibrate(rows[::8].copy())
        self.train_s = time.perf_counter() - start
        start = time.perf_counter()
        self.index.add(rows)
        self.index.prepare()
        self.encode_s = time.perf_counter() - start
        self.bytes = rows.shape[1] * bits // 8
        self.name = f"turbovec {bits} bits"

    def search(self, queries, count):
        return self.index.search(queries, count)[1].astype(np.int64)


class Peer:
    """One of them, with the queries that it is asked."""

    def __init__(self, spec, rows, queries, options):
        self.rows, self.queries, self.options = rows, queries, options
        self.engine = Turbovec(int(spec[-1]), rows) if spec.startswith("turbovec") else Faiss(spec, rows, options.metric)
        start = time.perf_counter()
        self.engine.search(queries[:1], options.k)
        one = time.perf_counter() - start
        self.single = max(20, min(len(queries), int(SECONDS / max(one, 1e-9))))

    def found(self, candidates):
        """The k nearest of every query: by codes alone, or of so many candidates compared exactly."""
        if candidates == 0:
            return self.engine.search(self.queries, self.options.k)
        found = self.engine.search(self.queries, candidates)
        answers = np.full((len(found), self.options.k), -1, dtype=np.int64)
        for number, slots in enumerate(found):
            slots = slots[slots >= 0]
            exact = scores("l2" if self.options.metric == "l2" else "dot", self.queries[number:number + 1],
                           self.rows[slots][None])[0]
            best = slots[np.argsort(-exact)[:self.options.k]]
            answers[number, :len(best)] = best
        return answers

    def batch_us(self, candidates):
        """All queries in one call; candidates are compared exactly as numpy does it best."""
        start = time.perf_counter()
        found = self.engine.search(self.queries, max(candidates, self.options.k))
        if candidates:
            for query, slots in zip(self.queries, found):
                self.best_of(query, slots)
        return (time.perf_counter() - start) * 1e6 / len(self.queries)

    def single_us(self, candidates):
        """One query per call; candidates are compared exactly as numpy does it best."""
        start = time.perf_counter()
        for query in self.queries[:self.single]:
            slots = self.engine.search(query[None], max(candidates, self.options.k))[0]
            if candidates:
                self.best_of(query, slots)
        return (time.perf_counter() - start) * 1e6 / self.single

    def best_of(self, query, slots):
        rows = self.rows[slots]
        exact = ((rows - query) ** 2).sum(axis=1) if self.options.metric == "l2" else -(rows @ query)
        return slots[np.argpartition(exact, self.options.k - 1)[:self.options.k]]


def measure(rung, spec, judge, rows, queries, options):
    """One line of the table: medians over the rounds, taken in turns."""
    ours = Ours(options, rung)
    record = {"rung": rung, "vectra": ours.line, "peer": None}
    peer = Peer(spec, rows, queries, options) if spec else None
    again = RERANKED[1] * options.k
    turns = {"vectra": [], "vectra_together": [], "vectra_reranked": [], "batch": [], "single": [], "batch_reranked": [],
             "single_reranked": []}
    for _ in range(options.rounds):
        turns["vectra"].append(ours.turn(0))
        together = ours.turn("together")
        turns["vectra_together"] += [] if together is None else [together]
        turns["vectra_reranked"].append(ours.turn(again))
        if peer:
            turns["batch"].append(peer.batch_us(0))
            turns["batch_reranked"].append(peer.batch_us(again))
            turns["single"].append(peer.single_us(0))
            turns["single_reranked"].append(peer.single_us(again))
    ours.end()
    record["turns_us"] = turns
    record["us"] = {name: median(some) if some else None for name, some in turns.items()}
    if peer:
        engine = peer.engine
        record["peer"] = {
            "name": engine.name, "bytes": engine.bytes, "train_s": engine.train_s, "encode_s": engine.encode_s,
            "recall": judge.recall(peer.found(0)),
            "reranked": {str(times * options.k): judge.recall(peer.found(times * options.k)) for times in RERANKED},
        }
    return record


def row(record):
    """A line of the table."""
    line, us, peer = record["vectra"], record["us"], record["peer"]
    ours = [f"{line['recall']:.4f}", *(f"{some['recall']:.4f}" for some in line["reranked"])]
    together = us["vectra_together"]
    alone = f"{us['vectra']:.0f}" if together is None else f"{together:.0f} / {us['vectra']:.0f}"
    cells = [record["rung"], f"{line['bytes']:.0f}", *ours, alone, f"{us['vectra_reranked']:.0f}"]
    if not peer:
        return cells + ["-"] * 11
    theirs = [f"{peer['recall']:.4f}", *(f"{some:.4f}" for some in peer["reranked"].values())]
    fastest, reranked = min(us["batch"], us["single"]), min(us["batch_reranked"], us["single_reranked"])
    return cells + [peer["name"], str(peer["bytes"]), *theirs, f"{us['batch']:.0f} / {us['single']:.0f}",
                    f"{us['batch_reranked']:.0f} / {us['single_reranked']:.0f}", f"{fastest / min(us['vectra'], together or us['vectra']):.2f}",
                    f"{reranked / us['vectra_reranked']:.2f}", f"{line['train_s'] + line['encode_s']:.1f} / "
                    f"{peer['train_s'] + peer['encode_s']:.1f}"]


def table(records, options):
    times = [f"+{times}k" for times in RERANKED]
    head = ["rung", "B", "recall", *times, "us (many / one)", f"us +{RERANKED[1]}k", "peer", "B", "recall", *times, "us batch / one",
            f"+{RERANKED[1]}k", "times its speed", f"+{RERANKED[1]}k", "train + encode s"]
    lines = [head, ["---"] * len(head), *(row(record) for record in records)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main():
    options = arguments()
    cores = machine.allowed_cores()
    if cores:
        os.sched_setaffinity(0, {options.core if options.core is not None else cores[-1]})
    judge = Judge(options.base, options.queries, options.truth, options.metric, options.k)
    rows, queries = load(options.base, options.metric), load(options.queries, options.metric)
    records = []
    known = pairs(rows.shape[1])
    unknown = set(options.only) - {rung for rung, _ in known}
    if unknown:
        raise SystemExit(f"there is no rung {', '.join(unknown)}; the rungs are {', '.join(rung for rung, _ in known)}")
    for rung, spec in known:
        if options.only and rung not in options.only:
            continue
        print(f"codes: {rung} beside {spec}", flush=True)
        try:
            records.append(measure(rung, spec, judge, rows, queries, options))
        except (RuntimeError, ValueError, OSError, ImportError) as error:
            print(f"codes: {rung}: {error}", flush=True)
            continue
        report = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": options.command, "revision": options.revision, "machine": machine.describe(),
            "data": {"base": options.base, "rows": len(rows), "dim": rows.shape[1], "metric": options.metric,
                     "k": options.k}, "rounds": options.rounds, "records": records}
        with open(options.out, "w") as file:
            json.dump(report, file, indent=1)
    print(table(records, options))


if __name__ == "__main__":
    main()
