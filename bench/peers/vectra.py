"""Vectra through its own program, which times its loop itself: there is no call from Python to subtract."""

import json
import os
import shutil
import subprocess

from peer import PATIENCE, PeerFailed


def points_of(report):
    """The points of a report of vectra-bench, each with the effort that it was asked with."""
    names = ("recall", "qps", "p50_us", "p99_us")
    effort = lambda point: point["ef"] if "ef" in point else round(point["target"], 6)
    return [{"effort": effort(point), **{name: point[name] for name in names}} for point in report["points"]]


class Vectra:
    """The files of one run and the commands on them."""

    def __init__(self, program, folder, data):
        self.program, self.data = program, data
        self.index, self.report = os.path.join(folder, "index"), os.path.join(folder, "report.json")
        self.commands = {}

    def command(self, threads, cores, *more):
        data = self.data
        command = [
            self.program, "ann", "--index", self.index, "--queries", data["queries"], "--truth", data["truth"],
            "--metric", data["metric"], "--k", str(data["k"]), "--threads", str(threads), "--json", self.report, *more]
        if cores and shutil.which("taskset"):
            command = ["taskset", "-c", ",".join(map(str, cores))] + command
        return command

    def version(self):
        shown = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return shown.stdout.split()[-1]

    def build(self, threads, cores, limit_s):
        """Builds the index; few queries are asked, for other runs measure them."""
        command = self.command(
            threads, cores, "--base", self.data["base"], "--ef", str(self.data["k"]), "--queries-max", "10")
        report = self.run("build", command, limit_s)
        return {"build_s": report["build_s"], "save_s": None, "build_peak_bytes": report["build_peak_rss_bytes"]}

    def sweep(self, efforts, core, limit_s):
        """One pass per effort, and the memory of the process that only asks.

        A whole number is an `ef`, a number below 1 a recall that is declared.
        """
        asked = [("--ef", [e for e in efforts if e >= 1]), ("--recall", [e for e in efforts if e < 1])]
        options = [part for name, some in asked if some for part in (name, ",".join(map(str, some)))]
        report = self.run("sweep", self.command(1, core, *options), limit_s)
        resident = report.get("resident") or {}
        return points_of(report), {"resident_bytes": report["rss_bytes"], "own_bytes": resident.get("own")}

    def run(self, step, command, limit_s):
        self.commands[step] = " ".join(command)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        waited = 0
        while True:
            try:
                _, errors = process.communicate(timeout=min(PATIENCE, limit_s - waited))
                break
            except subprocess.TimeoutExpired:
                waited += PATIENCE
                print(f"peers: vectra: {step}: {waited} s so far", flush=True)
                if waited >= limit_s:
                    process.kill()
                    process.communicate()
                    raise PeerFailed(f"{step}: stopped after {limit_s:.0f} s") from None
        if process.returncode != 0:
            last = errors.strip().splitlines()[-1:] or ["it said nothing"]
            raise PeerFailed(f"{step}: status {process.returncode}: {last[0][:300]}")
        with open(self.report) as file:
            return json.load(file)
