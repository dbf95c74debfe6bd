"""The Markdown tables of a report. Standard library only."""

from figures import TARGETS, first_reaching, summary

NOTHING = "-"


def rate(value):
    if value is None:
        return NOTHING
    return (">= " if value[1] else "") + f"{value[0]:,.0f}"


def times(value):
    if value is None:
        return NOTHING
    return f"{value[1]} {value[0]:.2f}".strip()


def mebibytes(value):
    return NOTHING if value is None else f"{value / 2**20:,.1f}"


def seconds(record):
    if record.get("build_s") is None:
        return NOTHING
    saving = f" + {record['save_s']:.1f}" if record.get("save_s") is not None else ""
    return f"{record['build_s']:.1f}{saving}"


def title(name, record):
    return " ".join(part for part in (name, record.get("version")) if part)


def render(cells):
    return "| " + " | ".join(cells) + " |"


def speed(engines, lines):
    at = [f"@ {target:.2f}" for target in TARGETS]
    head = ["engine", *["QPS " + x for x in at], *["less floor " + x for x in at], *["Vectra/it " + x for x in at]]
    out = [render(head), "|---|" + "--:|" * (len(head) - 1)]
    for name, line in lines.items():
        if not line["points"]:
            continue
        cells = [title(name, engines[name])]
        cells += [rate(line[kind][target]) for kind in ("raw", "less_floor") for target in TARGETS]
        for target in TARGETS:
            if "ratio_raw" not in line:
                cells.append(NOTHING)
            else:
                subtracted, raw = (line[kind][target] for kind in ("ratio_less_floor", "ratio_raw"))
                cells.append(NOTHING if subtracted is None else f"{times(subtracted)} ({times(raw)})")
        out.append(render(cells))
    return out


def costs(engines, lines):
    head = ["engine", "settings", "build s", "peak MiB", "resident MiB", "of it own", "disk MiB", "call floor us",
            "p50 / p99 us (recall)", "highest recall"]
    out = [render(head), "|---|---|" + "--:|" * (len(head) - 2)]
    for name, line in lines.items():
        record = engines[name]
        if not line["points"]:
            continue
        point = first_reaching(line["points"], 0.95)
        tail = f"{point['p50_us']:.0f} / {point['p99_us']:.0f} ({point['recall']:.3f})" if point else NOTHING
        out.append(render([
            title(name, record), record.get("settings", ""), seconds(record),
            mebibytes(record.get("build_peak_bytes")), mebibytes(record.get("resident_bytes")),
            mebibytes(record.get("own_bytes")), mebibytes(record.get("disk_bytes")), f"{line['floor_us']:.1f}", tail,
            f"{max(point['recall'] for point in line['points']):.3f}",
        ]))
    return out


def failures(engines):
    failed = [(name, record["error"]) for name, record in engines.items() if record.get("error")]
    return [f"- {title(name, engines[name])}: not measured: {error}" if not engines[name].get("rounds")
            else f"- {title(name, engines[name])}: stopped early: {error}" for name, error in failed]


def markdown(report):
    """All of a report as Markdown."""
    engines, data = report["engines"], report["data"]
    lines = summary(engines)
    machine = report["machine"]
    head = (f"{data['rows']:,} x {data['dim']}, {data['metric']}, k = {data['k']}, {data['queries']:,} queries, "
            f"rounds: {report['rounds']}; {report['date']}; {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}")
    out = [head, "", *speed(engines, lines), ""]
    out += ["Ratios: less the call floor of each (raw).", "", *costs(engines, lines), ""]
    out += ["Build: two numbers are building and saving; p50 / p99: at the fastest setting of recall 0.95, call included."]
    notes = failures(engines) + [f"- {note}" for note in report.get("notes", [])]
    return "\n".join(out + ([""] + notes if notes else [])) + "\n"
