"""One peer in a process of its own: reads one JSON request per line, answers each with one JSON line.

One process builds: it holds the base and uses several cores. Another one asks: it holds the queries, opens what the
first one saved, and stays on one core.
"""

import gc
import importlib
import importlib.metadata
import json
import os
import sys
import time
import traceback

import machine

# Queries asked before a measurement starts.
WARM = 50
# Queries between two looks at the clock that ends a slow measurement.
STRIDE = 50
FLOOR_CALLS = 1000


class Worker:
    def __init__(self):
        self.peer = self.floor_peer = self.data = None

    def start(self, name, cores, data, metric, k, threads):
        """Loads the library and the vectors at `data`."""
        machine.stay_on(cores)  # first: libraries make a thread per core that they see
        import arrays
        module = importlib.import_module("adapters." + name)
        self.data = arrays.load(data, metric)
        self.k = k
        self.make = lambda: module.Peer(arrays.peer_metric(metric), threads, k)
        package = module.Peer.PACKAGE
        return {"version": importlib.metadata.version(package), "settings": module.Peer.SETTINGS}

    def build(self, folder, rows=None):
        """An index of the first `rows` rows, or of all, in `folder`; how long that took and what memory."""
        rows, peer = self.data[:rows], self.make()
        if not peer.DURABLE:
            os.makedirs(folder)
        before = machine.resident_bytes()
        machine.reset_peak()
        start = time.perf_counter()
        peer.build(rows, folder)
        built = time.perf_counter()
        peak = machine.peak_bytes()
        peer.save(folder)
        saved = time.perf_counter()
        peer.close()
        return {
            "build_s": built - start,
            "save_s": None if peer.DURABLE else saved - built,
            "build_peak_bytes": None if peak is None else peak - before,
        }

    def open(self, folder, floor_folder, effort):
        """Opens the index and the one of a few rows; what memory the first holds once every query was asked."""
        before, own_before = machine.resident_bytes(), machine.own_bytes()
        self.peer = self.make()
        self.peer.open(folder, self.data.shape[1])
        self.peer.effort(effort)
        for query in self.data:
            self.peer.ask(query)
        after, own_after = machine.resident_bytes(), machine.own_bytes()
        self.floor_peer = self.make()
        self.floor_peer.open(floor_folder, self.data.shape[1])
        return {
            "resident_bytes": None if before is None else after - before,
            "own_bytes": None if own_before is None else own_after - own_before,
        }

    def floor(self, effort):
        """The median time of a call that has nothing to search."""
        from figures import timing
        self.floor_peer.effort(effort)
        queries = [self.data[i % len(self.data)] for i in range(FLOOR_CALLS)]
        nanoseconds, _ = ask(self.floor_peer, queries, float("inf"))
        return {"floor_us": timing(nanoseconds)["p50_us"]}

    def measure(self, effort, seconds, answers):
        """Every query once, one per call, or as many as `seconds` allow; the ids go to the file `answers`."""
        import numpy as np
        from figures import timing
        self.peer.effort(effort)
        nanoseconds, found = ask(self.peer, self.data, seconds)
        matrix = np.full((len(found), self.k), -1, dtype=np.int64)
        for row, ids in zip(matrix, found):
            ids = np.asarray(ids).astype(np.int64)[:self.k]
            row[:len(ids)] = ids
        np.save(answers, matrix)
        return timing(nanoseconds)

    def close(self):
        for peer in (self.peer, self.floor_peer):
            if peer is not None:
                peer.close()
        return {}


def ask(peer, queries, seconds):
    """The nanoseconds of each call and what it returned."""
    for query in queries[:WARM]:
        peer.ask(query)
    clock, nanoseconds, found = time.perf_counter_ns, [], []
    end = time.perf_counter() + seconds
    gc.collect()
    gc.disable()  # a collection would look through all answers so far, on the peer's time
    for query in queries:
        start = clock()
        ids = peer.ask(query)
        nanoseconds.append(clock() - start)
        found.append(ids)
        if len(found) % STRIDE == 0 and time.perf_counter() > end:
            break
    gc.enable()
    return nanoseconds, found


def serve(requests, answers):
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        operation = request.pop("do")
        try:
            answer = getattr(worker, operation)(**request)
        except NotImplementedError as error:
            answer = {"error": f"not supported: {error}"}
        except ImportError as error:
            answer = {"error": f"missing: {error}"}
        except Exception as error:  # whatever a peer throws is its result
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if operation == "close":
            break


if __name__ == "__main__":
    # Libraries print: their standard output becomes the log, the answers keep the pipe.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, pipe)
    pipe.flush()
    os._exit(0)  # threads of a library may never end
