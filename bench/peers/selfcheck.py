"""Checks what needs no peer: recall, interpolation, ratios, the table, processes that fail.

Standard library only; what takes numpy is checked where it is installed.
"""

import importlib.util
import json
import math
import os
import re
import sys
import tempfile
import unittest

import adapters
from figures import (
    best_of, count_right, curve, first_reaching, less_floor, limit, percentile, rate_at, ratio, summary, timing, until_enough,
    with_text_keys)
from machine import disk_bytes, own_bytes, resident_bytes
from peer import HERE, PeerFailed, PeerProcess
from table import markdown
from vectra import Vectra, points_of


def point(recall, qps, effort=0):
    return {"effort": effort, "recall": recall, "qps": qps, "p50_us": 1e6 / qps, "p99_us": 2e6 / qps}


class Recall(unittest.TestCase):
    def test_ties_with_the_true_last_row_are_right(self):
        least = limit(0.5)
        self.assertEqual(count_right([1, 2, 3], [0.9, 0.5, 0.5 - 0.9e-6], least, 3), 3)
        self.assertEqual(count_right([1, 2, 3], [0.9, 0.5, 0.5 - 1.1e-6], least, 3), 2)

    def test_the_tolerance_is_relative_for_great_scores(self):
        self.assertAlmostEqual(limit(-5000.0), -5000.005)
        self.assertAlmostEqual(limit(0.0), -1e-6)

    def test_a_row_counts_once_and_only_within_k(self):
        self.assertEqual(count_right([7, 7, 8], [1.0, 1.0, 1.0], 0.5, 3), 2)
        self.assertEqual(count_right([7, 8, 9], [1.0, 1.0, 1.0], 0.5, 2), 2)
        self.assertEqual(count_right([], [], 0.5, 3), 0)


class Rates(unittest.TestCase):
    POINTS = [point(0.98, 1000.0), point(0.90, 4000.0), point(0.94, 2000.0)]

    def test_between_points_the_logarithm_is_linear(self):
        rate, bound = rate_at(self.POINTS, 0.92)
        self.assertAlmostEqual(rate, math.sqrt(4000.0 * 2000.0))
        self.assertFalse(bound)

    def test_a_point_itself_is_exact(self):
        for recall, qps in ((0.90, 4000.0), (0.94, 2000.0), (0.98, 1000.0)):
            rate, bound = rate_at(self.POINTS, recall)
            self.assertAlmostEqual(rate, qps)
            self.assertFalse(bound)

    def test_below_the_first_point_it_is_a_bound_and_beyond_the_last_nothing(self):
        self.assertEqual(rate_at(self.POINTS, 0.85), (4000.0, True))
        self.assertIsNone(rate_at(self.POINTS, 0.99))
        self.assertIsNone(rate_at([], 0.9))

    def test_of_two_ways_to_set_the_effort_the_better_counts_at_each_recall(self):
        by_recall = [point(0.91, 4500.0), point(0.935, 1500.0), point(0.97, 1600.0)]
        best = best_of(self.POINTS + by_recall)
        self.assertEqual([p["qps"] for p in best], [4500.0, 2000.0, 1600.0, 1000.0])
        self.assertAlmostEqual(rate_at(self.POINTS + by_recall, 0.97)[0], 1600.0)
        self.assertEqual(best_of([]), [])

    def test_asking_for_the_same_search_often_draws_no_better_rate(self):
        same = [{"recall": 0.93, "qps": qps} for qps in (1000.0, 1300.0, 900.0)]
        self.assertEqual(best_of(same), [{"recall": 0.93, "qps": 1000.0}])
        self.assertEqual(rate_at(same, 0.90), (1000.0, True))

    def test_a_point_of_vectra_has_the_effort_that_it_was_asked_with(self):
        more = {"recall": 0.9, "qps": 1.0, "p50_us": 2.0, "p99_us": 3.0, "hops": 4}
        points = points_of({"points": [{"ef": 16, **more}, {"target": 0.949999988, **more}]})
        self.assertEqual([p["effort"] for p in points], [16, 0.95])
        self.assertNotIn("hops", points[0])

    def test_the_floor_is_taken_from_the_time_of_a_query(self):
        self.assertAlmostEqual(less_floor((10_000.0, False), 20.0)[0], 12_500.0)
        self.assertIsNone(less_floor((10_000.0, False), 100.0))
        self.assertIsNone(less_floor(None, 1.0))

    def test_ratios_say_what_they_bound(self):
        self.assertEqual(ratio((30.0, False), (20.0, False)), (1.5, ""))
        self.assertEqual(ratio((30.0, True), (20.0, False)), (1.5, ">="))
        self.assertEqual(ratio((30.0, False), (20.0, True)), (1.5, "<="))
        self.assertEqual(ratio((30.0, True), (20.0, True)), (1.5, "~"))
        self.assertIsNone(ratio(None, (20.0, False)))

    def test_percentiles_interpolate(self):
        self.assertEqual(percentile([1, 2, 3, 4], 0.5), 2.5)
        self.assertEqual(percentile([5], 0.99), 5)
        found = timing([4000, 1000, 3000, 2000])
        self.assertEqual((found["queries"], found["qps"], found["p50_us"]), (4, 400_000.0, 2.5))


class Rounds(unittest.TestCase):
    def test_a_point_is_the_median_of_its_rounds(self):
        rounds = [[point(0.9, qps, 16), point(0.95, qps / 2, 32)] for qps in (100.0, 300.0, 200.0)]
        points = curve(rounds)
        self.assertEqual([p["qps"] for p in points], [200.0, 100.0])
        self.assertEqual((points[0]["qps_least"], points[0]["qps_greatest"]), (100.0, 300.0))
        self.assertEqual(curve([]), [])

    def test_efforts_that_a_round_lacks_are_left_out(self):
        rounds = [[point(0.9, 100.0, 16), point(0.95, 50.0, 32)], [point(0.9, 100.0, 16)]]
        self.assertEqual([p["effort"] for p in curve(rounds)], [16])

    def test_a_sweep_ends_with_the_first_point_that_is_enough(self):
        points = [point(0.9, 100.0), point(0.995, 50.0), point(0.999, 25.0)]
        self.assertEqual(until_enough(points), points[:2])
        self.assertEqual(until_enough(points[:1]), points[:1])
        slow = [point(0.5, 10.0), point(0.6, 5.0)]
        self.assertEqual(until_enough(slow), slow[:1])

    def test_the_fastest_point_that_reaches_a_recall(self):
        points = [point(0.97, 50.0, 64), point(0.96, 80.0, 32), point(0.90, 99.0, 16)]
        self.assertEqual(first_reaching(points, 0.95)["effort"], 32)
        self.assertIsNone(first_reaching(points, 0.98))


def engines():
    return {
        "vectra": {"version": "0.1.0", "settings": "defaults", "build_s": 3.0, "save_s": None,
                   "build_peak_bytes": 3 << 20, "resident_bytes": 2 << 20, "own_bytes": 1 << 19,
                   "disk_bytes": 1 << 20,
                   "rounds": [[point(0.90, 40_000.0, 10), point(0.96, 20_000.0, 20)]]},
        "slow": {"version": "1.2", "settings": "some", "build_s": 6.0, "save_s": 0.5, "floors_us": [10.0, 90.0, 30.0],
                 "rounds": [[point(0.90, 10_000.0, 10), point(0.995, 5_000.0, 20)]]},
        "gone": {"error": "missing: No module named 'gone'", "rounds": []},
        "half": {"error": "its process ended", "rounds": [[point(0.99, 1000.0, 10)]]},
    }


class Table(unittest.TestCase):
    def test_the_summary_subtracts_the_median_floor(self):
        line = summary(engines())["slow"]
        self.assertEqual(line["floor_us"], 30.0)
        self.assertAlmostEqual(line["less_floor"][0.90][0], 1e6 / 70)
        self.assertAlmostEqual(line["ratio_raw"][0.90][0], 4.0)
        self.assertAlmostEqual(line["ratio_less_floor"][0.90][0], 2.8)
        self.assertNotIn("ratio_raw", summary(engines())["vectra"])

    def test_the_summary_survives_json(self):
        line = json.loads(json.dumps(with_text_keys(summary(engines())["slow"])))
        self.assertAlmostEqual(line["ratio_raw"]["0.90"][0], 4.0)
        self.assertEqual(line["ratio_raw"]["0.90"][1], "")
        self.assertIsNone(line["ratio_raw"]["0.99"])

    def test_without_vectra_there_are_no_ratios(self):
        rest = {name: record for name, record in engines().items() if name != "vectra"}
        self.assertNotIn("ratio_raw", summary(rest)["slow"])

    def test_every_engine_has_its_line_or_its_reason(self):
        report = {
            "engines": engines(), "rounds": 1, "date": "2020-01-01", "notes": ["a note"],
            "data": {"rows": 1000, "dim": 4, "metric": "l2", "k": 10, "queries": 20},
            "machine": {"processor": "P", "cores": 2, "system": "S"},
        }
        text = markdown(report)
        self.assertIn("1,000 x 4, l2, k = 10, 20 queries, rounds: 1; 2020-01-01; P, 2 cores, S", text)
        self.assertIn("| slow 1.2 | 10,000 |", text)
        self.assertIn("| 2.80 (4.00) |", text)
        self.assertIn("| slow 1.2 | some | 6.0 + 0.5 |", text)
        self.assertIn("| vectra 0.1.0 | defaults | 3.0 | 3.0 | 2.0 | 0.5 | 1.0 | 0.0 | 50 / 100 (0.960) | 0.960 |", text)
        self.assertIn("- gone: not measured: missing: No module named 'gone'", text)
        self.assertIn("- half: stopped early: its process ended", text)
        self.assertIn("| half | >= 1,000 |", text)
        self.assertIn("- a note", text)
        for line in text.splitlines():
            if line.startswith("| slow") or line.startswith("| half"):
                self.assertIn(line.count("|"), (12, 11, 10), line)


class Adapters(unittest.TestCase):
    def test_every_peer_has_a_file_whose_package_is_pinned(self):
        with open(os.path.join(HERE, "requirements.txt")) as file:
            pinned = re.findall(r"^([\w-]+)==", file.read(), re.MULTILINE)
        packages = []
        for name in adapters.NAMES:
            with open(os.path.join(HERE, "adapters", name + ".py")) as file:
                packages += re.findall(r'^    PACKAGE = "(.+)"$', file.read(), re.MULTILINE)
        self.assertEqual(sorted(packages + ["numpy", "turbovec"]), sorted(pinned))


@unittest.skipUnless(importlib.util.find_spec("numpy"), "numpy is not installed")
class Judging(unittest.TestCase):
    def setUp(self):
        import numpy as np
        self.folder = tempfile.TemporaryDirectory()
        base = np.array([[1, 0], [0, 1], [3, 3], [-1, 0]], dtype=np.float16)
        for name, array in (("base", base), ("queries", [[2.0, 0.5]])):
            np.save(self.path(name), np.asarray(array, dtype=np.float32))

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name + ".npy")

    def judge(self, truth, metric):
        import numpy as np
        from arrays import Judge
        np.save(self.path("truth"), np.array([truth], dtype=np.int32))
        return Judge(self.path("base"), self.path("queries"), self.path("truth"), metric, 2)

    def test_each_metric_has_its_truth(self):
        import numpy as np
        for metric, truth in (("cosine", [0, 2]), ("dot", [2, 0]), ("l2", [0, 1])):
            judge = self.judge(truth, metric)
            self.assertEqual(judge.recall(np.array([truth])), 1.0, metric)
            self.assertEqual(judge.recall(np.array([[truth[0], 3]])), 0.5, metric)
            self.assertEqual(judge.recall(np.array([[truth[0], truth[0]]])), 0.5, metric)
            self.assertEqual(judge.recall(np.array([[-1, 4]])), 0.0, metric)

    def test_the_truth_of_another_metric_is_refused(self):
        with self.assertRaisesRegex(ValueError, "not the l2 truth"):
            self.judge([2, 0], "l2")
        with self.assertRaisesRegex(ValueError, "not the cosine truth"):
            self.judge([0, 1], "cosine")

    def test_peers_get_rows_of_length_one_under_cosine_only(self):
        from arrays import load, peer_metric
        self.assertAlmostEqual(float(load(self.path("base"), "cosine")[2, 0]), math.sqrt(0.5), 6)
        self.assertEqual(float(load(self.path("base"), "l2")[2, 0]), 3.0)
        self.assertEqual([peer_metric(m) for m in ("cosine", "dot", "l2")], ["dot", "dot", "l2"])


class Processes(unittest.TestCase):
    def test_a_peer_that_cannot_start_is_an_answer_and_its_process_lives_on(self):
        with tempfile.TemporaryDirectory() as folder:
            process = PeerProcess("nobody", os.path.join(folder, "log"))
            try:
                for _ in range(2):
                    with self.assertRaisesRegex(PeerFailed, "missing: No module named"):
                        process.ask("start", 60, name="nobody", cores=[], data="", metric="l2", k=1, threads=1)
            finally:
                process.end()
            self.assertIsNotNone(process.process.poll())

    def test_a_peer_that_dies_or_hangs_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            process = PeerProcess("silent", os.path.join(folder, "log"))
            with self.assertRaisesRegex(PeerFailed, "stopped after"):
                process.line("wait", 0.2)
            with self.assertRaisesRegex(PeerFailed, "ended with status"):
                process.ask("close", 60)
            process.end()

    def test_a_program_that_fails_says_why(self):
        with tempfile.TemporaryDirectory() as folder:
            data = {"queries": "q", "truth": "t", "metric": "l2", "k": 3, "base": "b"}
            vectra = Vectra(sys.executable, folder, data)
            with self.assertRaisesRegex(PeerFailed, "build: status 2: .*ann"):
                vectra.build(2, [], 60)
            self.assertIn("--threads 2", vectra.commands["build"])
            self.assertIn("--base b", vectra.commands["build"])

    def test_space_on_disk_is_that_of_all_files(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "inner"))
            for name in ("one", os.path.join("inner", "two")):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(b"x" * 10_000)
                    file.flush()
                    os.fsync(file.fileno())
            self.assertGreaterEqual(disk_bytes(folder), 20_000)
            self.assertTrue(resident_bytes() is None or resident_bytes() > 1 << 20)
            self.assertTrue(own_bytes() is None or own_bytes() < resident_bytes())


if __name__ == "__main__":
    unittest.main()
