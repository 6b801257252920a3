"""A tlog-witness that others wrote (witness-log), in front of what Consign's network serves.

Reads {"origin", "vkey", "requests": [body of POST /add-checkpoint, ...]} as JSON from standard input;
answers {"vkey", "answers": [[status, body], ...]}.
"""

import json
import sys

from witness_log import WitnessService

SEED = bytes(range(32))


def main():
    asked = json.load(sys.stdin)
    service = WitnessService.new("witness.example/w1", SEED)
    service.add_log(asked["origin"], asked["vkey"])
    answers = [service.handle_add_checkpoint(body) for body in asked["requests"]]
    json.dump({"vkey": service.vkey(), "answers": answers}, sys.stdout)


main()
