"""Checks what Consign makes with Python packages that others wrote.

    check.py TOOL    TOOL is sigstore, cwt or pycose

Reads cases as JSON from standard input; answers, for each case of a kind that the tool knows, whether it
accepts it. What is genuine and what is forged it is not told.
"""

import base64
import hashlib
import json
import sys
from types import SimpleNamespace

ALG_ED25519 = -19
ALG_ES256 = -7
ALG_ESP256 = -9


def unbase64(text):
    return base64.b64decode(text, validate=True)


def sigstore_inclusion(case):
    from sigstore._internal.merkle import verify_merkle_inclusion

    proof = SimpleNamespace(
        log_index=case["index"],
        tree_size=case["size"],
        hashes=[unbase64(node) for node in case["path"]],
        root_hash=unbase64(case["root"]),
    )
    body = unbase64(case["leaf"])
    inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=body)
    verify_merkle_inclusion(SimpleNamespace(_inner=inner))


def cwt_key(alg, case):
    from cwt import COSEKey

    key, kid = unbase64(case["key"]), unbase64(case["kid"])
    if alg == "ed25519":
        return COSEKey.new({1: 1, 2: kid, 3: ALG_ED25519, -1: 6, -2: key})
    alg = {"es256": ALG_ES256, "p256": ALG_ESP256}[alg]
    return COSEKey.new({1: 2, 2: kid, 3: alg, -1: 1, -2: key[1:33], -3: key[33:]})


def cwt_event(case):
    from cwt import COSE

    COSE.new().decode(unbase64(case["event"]), cwt_key(case["alg"], case))


def cwt_receipt(case):
    from cwt import COSE

    receipt = unbase64(case["receipt"])
    root = root_of(receipt, unbase64(case["event"]))
    key = cwt_key(case["alg"], case)
    COSE.new().decode(receipt, key, detached_payload=root)


def pycose_receipt(case):
    from pycose.keys import EC2Key
    from pycose.messages import CoseMessage

    receipt = unbase64(case["receipt"])
    root = root_of(receipt, unbase64(case["event"]))
    key = unbase64(case["key"])
    message = CoseMessage.decode(receipt)
    message.key = EC2Key(crv="P_256", x=key[1:33], y=key[33:])
    if not message.verify_signature(detached_payload=root):
        raise ValueError("the signature does not hold")


def root_of(receipt, event):
    """The root that the receipt's proof leads the event to (RFC 9162, 2.1.3.2)."""
    import cbor2

    protected, unprotected, _, _ = cbor2.loads(receipt).value
    if cbor2.loads(protected)[395] != 1:
        raise ValueError("another kind of tree")
    (proof,) = unprotected[396][-1]
    size, index, path = cbor2.loads(proof)
    at, last = index, size - 1
    node = hashlib.sha256(b"\0" + event).digest()
    for sibling in path:
        if last == 0:
            raise ValueError("too long a path")
        if at & 1 or at == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while at & 1 == 0 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ValueError("too short a path")
    return node


TOOLS = {
    "sigstore": {"inclusion": sigstore_inclusion},
    "cwt": {"event": cwt_event, "receipt": cwt_receipt},
    # Knows none of the algorithms that RFC 9864 specifies fully, Ed25519 (-19) among them.
    "pycose": {"es256 receipt": pycose_receipt},
}


def kinds(case):
    yield case["kind"]
    if case["kind"] == "receipt":
        yield f"{case['alg']} receipt"


def main():
    checks = TOOLS[sys.argv[1]]
    answers = {}
    for case in json.load(sys.stdin):
        for kind in kinds(case):
            if kind in checks:
                answers[case["name"]] = accepts(checks[kind], case)
    json.dump(answers, sys.stdout)


def accepts(check, case):
    try:
        check(case)
    # Whatever a library throws at bytes that it does not like is its way to refuse them; that it can be
    # used at all is shown by the genuine ones.
    except Exception as refusal:
        print(f"{case['name']}: {refusal!r}", file=sys.stderr)
        return False
    return True


main()
