"""What is computed from measurements: recall, medians over rounds, rates at a recall, ratios.

Standard library only, so that `selfcheck.py` runs anywhere.
"""

import math
from statistics import median

TARGETS = (0.90, 0.95, 0.99)
# A row this much worse than the true k-th is still right: rounding alone tells the two apart.
TOLERANCE = 1e-6
# A sweep ends once it is beyond what is reported.
RECALL_ENOUGH = 0.995
P50_US_MAX = 60_000


def limit(kth_score):
    """The score from which on a row is right when the true k-th row has `kth_score`; greater is better.

    The tolerance is relative beyond 1, because rounding is.
    """
    return kth_score - TOLERANCE * max(1.0, abs(kth_score))


def count_right(rows, scores, least, k):
    """How many different rows among the first `k` score at least `least`."""
    return len({row for row, score in list(zip(rows, scores))[:k] if score >= least})


def percentile(ascending, share):
    """The value that `share` of an ascending, non-empty list stays below, by linear interpolation."""
    at = share * (len(ascending) - 1)
    low = int(at)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (ascending[high] - ascending[low]) * (at - low)


def timing(nanoseconds):
    """Rate and percentiles of the calls of one pass."""
    calls = sorted(nanoseconds)
    return {
        "queries": len(calls),
        "qps": len(calls) * 1e9 / sum(calls),
        "p50_us": percentile(calls, 0.50) / 1e3,
        "p99_us": percentile(calls, 0.99) / 1e3,
    }


def enough(point):
    """Whether a sweep may end with `point`."""
    return point["recall"] >= RECALL_ENOUGH or point["p50_us"] > P50_US_MAX


def until_enough(points):
    """The points up to the first that is enough."""
    last = next((at for at, point in enumerate(points) if enough(point)), len(points))
    return points[:last + 1]


def curve(rounds):
    """One point per effort that every round measured: medians, with the least and greatest rate beside them."""
    if not rounds:
        return []
    points = []
    for effort in [point["effort"] for point in rounds[0]]:
        same = [point for points_of_round in rounds for point in points_of_round if point["effort"] == effort]
        if len(same) < len(rounds):
            continue
        of = lambda name: [point[name] for point in same]
        points.append({
            "effort": effort,
            **{name: median(of(name)) for name in ("recall", "qps", "p50_us", "p99_us")},
            "qps_least": min(of("qps")),
            "qps_greatest": max(of("qps")),
        })
    return points


def best_of(points):
    """The points, ascending by recall, that no other point beats in both recall and rate.

    An engine with several ways to set its effort is judged by the best of them at each recall. Points of the very same
    recall are one search asked for in several ways (a recall that costs less than the least pool does): they count as
    one, with their median rate, for the fastest of them is noise.
    """
    best, same = [], {}
    for point in points:
        same.setdefault(point["recall"], []).append(point)
    alike = [{**some[0], "qps": median(point["qps"] for point in some)} for some in same.values()]
    for point in sorted(alike, key=lambda point: (point["recall"], point["qps"]), reverse=True):
        if not best or point["qps"] > best[-1]["qps"]:
            best.append(point)
    return best[::-1]


def rate_at(points, recall):
    """Queries per second at `recall` as (rate, is_bound); None if no point reaches it.

    Between two points the logarithm of the rate is linear in recall. A bound says "at least this": even the
    least effort has a higher recall.
    """
    ordered = best_of(points)
    if not ordered or ordered[-1]["recall"] < recall:
        return None
    if ordered[0]["recall"] >= recall:
        return ordered[0]["qps"], ordered[0]["recall"] > recall
    for low, high in zip(ordered, ordered[1:]):
        if low["recall"] < recall <= high["recall"]:
            part = (recall - low["recall"]) / (high["recall"] - low["recall"])
            return math.exp((1 - part) * math.log(low["qps"]) + part * math.log(high["qps"])), False
    raise AssertionError("an ordered list crosses every value between its ends")


def less_floor(rate, floor_us):
    """`rate` without the cost of a call that has nothing to search; None if nothing is left."""
    if rate is None:
        return None
    seconds = 1 / rate[0] - floor_us / 1e6
    return (1 / seconds, rate[1]) if seconds > 0 else None


def ratio(ours, theirs):
    """How many times `ours` is `theirs`, as (ratio, sign); the sign is '', '>=', '<=' or '~' where one is a bound."""
    if ours is None or theirs is None:
        return None
    sign = {(False, False): "", (True, False): ">=", (False, True): "<=", (True, True): "~"}[ours[1], theirs[1]]
    return ours[0] / theirs[0], sign


def first_reaching(points, recall):
    """The fastest point that reaches `recall`, or None."""
    reaching = [point for point in points if point["recall"] >= recall]
    return max(reaching, key=lambda point: point["qps"], default=None)


def summary(engines, ours="vectra"):
    """Per engine its curve, its rates at the targets and what `ours` is to it.

    `engines` maps a name to its record: `rounds` is a list of lists of points, `floors_us` one call floor per round.
    """
    out = {}
    for name, record in engines.items():
        points = curve(record.get("rounds", []))
        floor = median(record["floors_us"]) if record.get("floors_us") else 0.0
        raw = {target: rate_at(points, target) for target in TARGETS}
        less = {target: less_floor(rate, floor) for target, rate in raw.items()}
        out[name] = {"points": points, "floor_us": floor, "raw": raw, "less_floor": less}
    for name, line in out.items():
        if name != ours and ours in out:
            for kind in ("raw", "less_floor"):
                against = {t: ratio(out[ours][kind][t], line[kind][t]) for t in TARGETS}
                line["ratio_" + kind] = against
    return out


def with_text_keys(line):
    """A line of the summary with targets as text, for JSON has no other keys."""
    text = lambda value: {f"{t:.2f}": v for t, v in value.items()} if isinstance(value, dict) else value
    return {name: text(value) for name, value in line.items()}
