# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs in README.md do what README.md says."""
import pathlib
import re
import subprocess
import sys

from burgeon_test import DEADLINE, Running

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def programs_in_readme(daemon):
    text = README.read_text(encoding="utf-8")
    for port, door in (("7701", "updates"), ("7702", "submit"), ("7703", "query")):
        text = text.replace(f"tcp://127.0.0.1:{port}", daemon.endpoints[door])
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_feed_is_acknowledged_and_the_subscriber_hears_of_it(daemon):
    feed, subscriber = programs_in_readme(daemon)
    with Running(sys.executable, "-u", "-c", subscriber) as listening:
        done = subprocess.run([sys.executable, "-c", feed], capture_output=True, text=True, timeout=DEADLINE, check=True)
        assert "'durable': True" in done.stdout
        assert listening.line().startswith("forecast/meta-llama/Llama-3.1-8B/ 1 [(")
