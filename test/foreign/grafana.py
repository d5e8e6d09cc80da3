#!/usr/bin/env python3
"""Grafana's own model of a dashboard (grafana-foundation-sdk, from PyPI): grafana.py fetch. `./run test` calls it before it enters its
network namespace. A dashboard is read into the model and written again: what Grafana does not know is gone then.
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from foreign.environment import Environment  # noqa: E402

ENVIRONMENT = Environment("grafana-foundation-sdk", "grafana_requirements.txt", "grafana.py", ("grafana_foundation_sdk.models.dashboard",))
THERE_AND_BACK = """
import json, sys
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard
plugins.register_default_plugins()
print(encoder.JSONEncoder().encode(dashboard.Dashboard.from_json(json.load(sys.stdin))))
"""


def unknown(board):
    """Where the dashboard says something that Grafana has no place for. Raises harness.Skip where there is no SDK."""
    done = subprocess.run([str(ENVIRONMENT.python()), "-c", THERE_AND_BACK], input=json.dumps(board), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0:
        return [done.stderr.strip().splitlines()[-1]]
    return list(_lost(board, json.loads(done.stdout), ""))


def _lost(said, kept, where):
    if isinstance(said, dict) and isinstance(kept, dict):
        for key, value in said.items():
            if key in kept:
                yield from _lost(value, kept[key], f"{where}/{key}")
            else:
                yield f"{where}/{key}"
    elif isinstance(said, list) and isinstance(kept, list) and len(said) == len(kept):
        for number, (one, other) in enumerate(zip(said, kept)):
            yield from _lost(one, other, f"{where}/{number}")
    elif said != kept:
        yield where


if __name__ == "__main__":
    ENVIRONMENT.main(__doc__)
