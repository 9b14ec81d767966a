#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count single tests over several runs.

  count.py add RESULTS LABEL STATUS LOG   append one run: LOG is meson's testlog.json (programs that print TAP: every subtest
                                          counts) or pytest's junit.xml; STATUS is the exit status of the runner
  count.py sum RESULTS                    what was skipped and why, what failed, and `N passed, N failed, N skipped`;
                                          exit status 1 when anything failed, or nothing ran

A run cannot pass by accident: a log that is missing, a run without tests, and a runner that failed although every test it
reported passed (a leak found at exit, a crash after the last subtest) each count as a failure.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

TAP = re.compile(r"^(?P<not>not )?ok\b\s*(?P<number>\d+)?\s*-?\s*(?P<name>[^#]*?)\s*(?:#\s*(?P<word>SKIP|TODO)\S*\s*(?P<why>.*))?$",
                 re.IGNORECASE)


def from_tap(name, text):
    """One outcome a line: (name, 'passed' | 'failed' | 'skipped', reason)."""
    for line in text.splitlines():
        match = TAP.match(line)
        if not match:
            continue
        single = f"{name}: {match['name'] or match['why'] or match['number']}"
        if (match["word"] or "").upper() == "SKIP":
            yield single, "skipped", match["why"] or ""
        elif match["not"] and not match["word"]:
            yield single, "failed", ""
        else:
            yield single, "passed", ""


def from_meson(path):
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            name, result = test["name"], test["result"]
            single = list(from_tap(name, test.get("stdout") or ""))
            yield from single
            if result in ("OK", "EXPECTEDFAIL") and not single:
                yield name, "passed", ""
            elif result == "SKIP" and not any(outcome == "skipped" for _, outcome, _ in single):
                yield name, "skipped", (test.get("stdout") or "").strip()[:200] or "the program said so"
            elif result not in ("OK", "EXPECTEDFAIL", "SKIP") and not any(outcome == "failed" for _, outcome, _ in single):
                yield name, "failed", f"{result.lower()}, exit status {test.get('returncode')}"


def from_junit(path):
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None:
            yield name, "skipped", skipped.get("message") or ""
        else:
            yield name, "passed", ""


def add(results, label, status, log):
    outcomes = []
    if os.path.exists(log):
        try:
            outcomes = list(from_junit(log) if log.endswith(".xml") else from_meson(log))
        except (ValueError, KeyError, ElementTree.ParseError) as error:
            outcomes = [(os.path.basename(log), "failed", f"unreadable: {error}")]
    if not outcomes:
        outcomes = [("(the run)", "failed", "no test was run")]
    elif status != "0" and not any(outcome == "failed" for _, outcome, _ in outcomes):
        outcomes.append(("(the run)", "failed", f"the runner failed with status {status}, though no test did"))
    with open(results, "a", encoding="utf-8") as out:
        json.dump({"label": label, "outcomes": outcomes}, out)
        out.write("\n")


def summarise(results):
    runs = []
    if os.path.exists(results):
        with open(results, encoding="utf-8") as lines:
            runs = [json.loads(line) for line in lines]
    total = {"passed": 0, "failed": 0, "skipped": 0}
    print("\n== Results")
    for run in runs:
        count = dict.fromkeys(total, 0)
        for _, outcome, _ in run["outcomes"]:
            count[outcome] += 1
            total[outcome] += 1
        print(f"{run['label']:24} {count['passed']:6} passed {count['failed']:4} failed {count['skipped']:4} skipped")
    for what in ("skipped", "failed"):
        listed = [(run["label"], name, why) for run in runs for name, outcome, why in run["outcomes"] if outcome == what]
        if listed:
            print(f"\n{what.capitalize()}:")
        for label, name, why in listed:
            print(f"  [{label}] {name}{': ' + why if why else ''}")
    print(f"\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


def main(arguments):
    if len(arguments) == 5 and arguments[0] == "add":
        return add(*arguments[1:])
    if len(arguments) == 2 and arguments[0] == "sum":
        return summarise(arguments[1])
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
