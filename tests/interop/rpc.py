"""Asks a node with jsonrpcclient, over HTTP and over a WebSocket.

    rpc.py

Reads {"http": url, "ws": url, "calls": [{"name", "method", "params"}]} from standard input. Answers, for each
transport, what came of each call by itself, of all of them in one batch (by name), and of a batch of a
notification and a call.
"""

import json
import sys

import requests
from jsonrpcclient import Error, Ok, notification, parse, request
from websockets.sync.client import connect


def outcome(response):
    match response:
        case Ok(result, _):
            return {"result": result}
        case Error(code, message, data, _):
            return {"error": {"code": code, "message": message, "data": data}}


def all_of(asked, send):
    calls = asked["calls"]
    alone = {}
    for call in calls:
        alone[call["name"]] = outcome(parse(send(request(call["method"], params=call["params"]))))
    batch = [request(call["method"], params=call["params"]) for call in calls]
    names = {one["id"]: call["name"] for one, call in zip(batch, calls)}
    together = {names[one.id]: outcome(one) for one in parse(send(batch))}
    first = calls[0]
    silent = notification(first["method"], params=first["params"])
    spoken = request(first["method"], params=first["params"], id="a text for an id")
    answers = list(parse(send([silent, spoken])))
    return {"alone": alone, "batch": together, "answered": [one.id for one in answers]}


def main():
    asked = json.load(sys.stdin)

    def over_http(body):
        return requests.post(asked["http"], json=body, timeout=30).json()

    with connect(asked["ws"]) as socket:

        def over_websocket(body):
            socket.send(json.dumps(body))
            return json.loads(socket.recv(timeout=30))

        found = {"http": all_of(asked, over_http), "ws": all_of(asked, over_websocket)}
    json.dump(found, sys.stdout)


main()
