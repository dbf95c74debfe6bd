"""Vectors, and which answers are right."""

import numpy as np

from figures import count_right, limit

METRICS = ("cosine", "l2", "dot")
# Queries that are scored at once: bounds what judging holds in memory.
CHUNK = 128
# Queries whose truth is compared with a scan, and how far the two k-th scores may be apart (relative beyond 1):
# a truth computed in single precision passes, one of another metric or another base does not.
CHECKED = 4
CHECKED_TOLERANCE = 1e-3
SCANNED = 16_384


def load(path, metric):
    """The rows at `path` as f32, ready for a peer: of length 1 under cosine, whose nearest rows `dot` then finds."""
    rows = np.load(path).astype(np.float32)
    if metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths > 0, lengths, 1)
    return rows


def peer_metric(metric):
    """The metric that a peer is asked for."""
    return "l2" if metric == "l2" else "dot"


def scores(metric, queries, found):
    """Scores in double precision, greater is better: `queries` is n x d, `found` n x m x d."""
    queries, found = queries.astype(np.float64), found.astype(np.float64)
    if metric == "l2":
        return -np.square(found - queries[:, None, :]).sum(axis=2)
    products = np.einsum("nd,nmd->nm", queries, found)
    if metric == "dot":
        return products
    lengths = np.linalg.norm(found, axis=2) * np.linalg.norm(queries, axis=1)[:, None]
    return products / np.where(lengths > 0, lengths, 1)


class Judge:
    """Knows the true k-th score of every query; holds the base as a mapped file."""

    def __init__(self, base, queries, truth, metric, k):
        self.base, self.queries = np.load(base, mmap_mode="r"), np.load(queries)
        truth = np.load(truth)
        if metric not in METRICS:
            raise ValueError(f"the metric is one of {', '.join(METRICS)}, not {metric}")
        if self.base.ndim != 2 or self.queries.ndim != 2 or self.base.shape[1] != self.queries.shape[1]:
            raise ValueError(f"base {self.base.shape} and queries {self.queries.shape} are not rows of one length")
        if truth.ndim != 2 or truth.shape[1] < k or len(truth) < len(self.queries):
            raise ValueError(f"the truth has shape {truth.shape}: {len(self.queries)} rows of at least {k} are needed")
        self.metric, self.k = metric, k
        named = truth[:len(self.queries), :k]
        kth_scores = [float(row.min()) for row in self._scores(named)]
        self._check(kth_scores[:CHECKED])
        self.limits = [limit(score) for score in kth_scores]

    def recall(self, answers):
        """The share of right rows in `answers`: n x k row numbers of the first n queries, -1 where there is none."""
        known = (answers >= 0) & (answers < len(self.base))
        right = 0
        for number, row in enumerate(self._scores(np.where(known, answers, 0))):
            row = np.where(known[number], row, -np.inf)
            right += count_right(answers[number].tolist(), row.tolist(), self.limits[number], self.k)
        return right / (len(answers) * self.k)

    def _check(self, kth_scores):
        """Refuses a truth that is not the scan's: every recall measured against it would be wrong."""
        for number, named in enumerate(kth_scores):
            best, query = np.empty(0), self.queries[number:number + 1]
            for start in range(0, len(self.base), SCANNED):
                part = scores(self.metric, query, self.base[None, start:start + SCANNED])[0]
                best = np.sort(np.concatenate([best, part]))[-self.k:]
            if abs(best[0] - named) > CHECKED_TOLERANCE * max(1.0, abs(named)):
                raise ValueError(
                    f"the truth of query {number} is not the {self.metric} truth of this base: its row {self.k} scores "
                    f"{named:.6f}, a scan finds {best[0]:.6f}")

    def _scores(self, rows):
        for start in range(0, len(rows), CHUNK):
            part = rows[start:start + CHUNK]
            yield from scores(self.metric, self.queries[start:start + len(part)], self.base[part])
