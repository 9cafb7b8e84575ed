"""JSON-LD to canonical N-Quads the standard way: PyLD for the meaning, RDFC-1.0 by pyoxigraph. The slow, certain path."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from math import factorial, prod
from typing import Any, Final

import pyoxigraph
from pyld import jsonld

from services.signing.contexts import UnknownContextError, load
from services.signing.plain import UnsignableError, check_expanded, check_plain

XSD_STRING: Final = "http://www.w3.org/2001/XMLSchema#string"
RDF_LANG_STRING: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
_PYLD: Final = threading.Lock()
"""PyLD keeps prepared contexts in caches that all threads share and none may change at the same time."""
_MAX_BLANK_NODES: Final = 500
"""RDFC-1.0 is exponential in blank nodes that look alike; no credential needs more than this."""
_MAX_ORDERS: Final = 10_000
"""How many orders of nodes that look alike are tried at most. Badges have a few; 5,000 took 0.1 s."""
_MAX_ALIKE: Final = 100
"""How many nodes that look alike may hang together: the cost grows with the cube; a ring of 400 took 9 s."""
_BLANK: Final = re.compile(rb"(?<![^ \n])_:[A-Za-z0-9]+")
_IN_GRAPH: Final = re.compile(rb" _:[A-Za-z0-9]+ \.$")
"""A line that ends with a blank node: the graph's name, or an object in the default graph, which does no harm to take for one."""
_N_QUADS: Final = "application/n-quads"
_CONTROL: Final = re.compile(r"\\[bf]|\\u00|[\x00-\x09\x0b-\x1f\x7f]", re.IGNORECASE)
_ESCAPED: Final = re.compile('[\x00-\x1f\x7f"\\\\\ufffe\uffff]')
_SHORT: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}

Triple = Mapping[str, Any]


def escape(text: str) -> str:
    """Return a literal's text as canonical N-Quads write it (RDF 1.2 N-Quads, canonical form)."""
    return _ESCAPED.sub(lambda found: _SHORT.get(c := found.group(), f"\\u{ord(c):04X}"), text)


def term(node: Triple) -> str:
    """Return one of PyLD's terms in N-Quads."""
    kind, value = node["type"], node["value"]
    if kind == "IRI":
        return f"<{value}>"
    if kind == "blank node":
        return str(value)
    literal = f'"{escape(value)}"'
    if node["datatype"] == RDF_LANG_STRING:
        return f"{literal}@{node['language']}"
    return literal if node["datatype"] == XSD_STRING else f"{literal}^^<{node['datatype']}>"


def _dataset(document: Mapping[str, Any]) -> Mapping[str, Sequence[Triple]]:
    check_plain(document)
    dropped: list[str] = []
    try:
        processor = jsonld.JsonLdProcessor(on_property_dropped=dropped.append)
        with _PYLD:
            expanded = processor.expand(document, {"documentLoader": load, "base": None})
        check_expanded(expanded)
        with _PYLD:
            dataset: Mapping[str, Sequence[Triple]] = processor.to_rdf(expanded, {"documentLoader": load, "base": None})
    except jsonld.JsonLdError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UnknownContextError):
            cause = cause.__cause__ or cause.__context__
        raise cause or UnsignableError(f"not JSON-LD: {error.type}") from None
    if dropped:
        raise UnsignableError(f"terms that no context defines: {', '.join(sorted(map(str, dropped)))}")
    return dataset


def statements(document: Mapping[str, Any]) -> Sequence[Triple]:
    """Return the document's statements; one that is not of the default graph has a `graph` too.

    Raises:
        UnsignableError: A term is defined in no context (it would go unsigned), or see `plain`.
        UnknownContextError: It names a context that is not pinned.
    """
    out: list[Triple] = []
    for name, graph in _dataset(document).items():
        kind = "blank node" if name.startswith("_:") else "IRI"
        named = {} if name == "@default" else {"graph": {"type": kind, "value": name}}
        out += [{**triple, **named} for triple in graph]
    return out


def _nquads(dataset: Mapping[str, Sequence[Triple]]) -> str:
    lines = []
    for name, graph in dataset.items():
        tail = "." if name == "@default" else f"{name if name.startswith('_:') else f'<{name}>'} ."
        lines += [f"{term(t['subject'])} {term(t['predicate'])} {term(t['object'])} {tail}\n" for t in graph]
    return "".join(lines)


def rdfc10(text: str | bytes) -> bytes:
    """Return N-Quads in the canonical form of RDFC-1.0 with SHA-256.

    Raises:
        UnsignableError: No N-Quads, too many blank nodes, or too many that look alike.
    """
    data = text.encode() if isinstance(text, str) else text
    if _check_work(data):
        return _rdfc10_of_alike_in_graphs(_BLANK.sub(lambda found: b"_:x" + found.group()[2:], data).decode())
    try:
        dataset = pyoxigraph.Dataset(pyoxigraph.parse(data, pyoxigraph.RdfFormat.N_QUADS, lenient=True))
    except SyntaxError as error:
        raise UnsignableError(f"no N-Quads: {error.msg}") from None
    dataset.canonicalize(pyoxigraph.CanonicalizationAlgorithm.RDFC_1_0)
    lines = (pyoxigraph.serialize(dataset, format=pyoxigraph.RdfFormat.N_QUADS) or b"").split(b"\n")
    return b"".join(line + b"\n" for line in sorted(filter(None, lines)))


def _rdfc10_of_alike_in_graphs(text: str) -> bytes:
    """Return what `rdfc10` does, by PyLD, where nodes that look alike stand in graphs without a name.

    Such are the proofs of one endorsement that is embedded twice. A node that meets its graph in six quads meets it six times in
    the path that decides its place (RDFC-1.0 §4.8.3): PyLD, jsonld.js and 1EdTech's signer count so, and pyoxigraph counts once.
    No label may begin with c14n: PyLD takes such a one for done.

    Raises:
        UnsignableError: A literal holds a control character, which PyLD writes in an older way.
    """
    if _CONTROL.search(text):
        raise UnsignableError("a control character, in a document whose parts look alike")
    options = {"algorithm": "URDNA2015", "inputFormat": _N_QUADS, "format": _N_QUADS}
    try:
        return str(jsonld.normalize(text, options)).encode()
    except jsonld.JsonLdError as error:
        raise UnsignableError(f"no N-Quads: {error.type}") from None


def _check_work(data: bytes) -> bool:
    """Refuse, before any work, what would take too long; say whether nodes that look alike stand in graphs without a name.

    Nodes that differ in their own quads are labelled at once. Of the others, each tries every order of those neighbours that look
    alike from where it stands (RDFC-1.0 §4.8), and does so again for each order that led to it: along a chain of nodes the numbers
    multiply.

    Raises:
        UnsignableError: Too many blank nodes, or too many orders of those that look alike.
    """
    lines = [(line, set(_BLANK.findall(line))) for line in data.split(b"\n")]
    around: dict[bytes, list[bytes]] = {}
    for line, labels in lines:
        for label in labels:
            around.setdefault(label, []).append(_seen_from(line, {label: b"_:a"}))
    if len(around) > _MAX_BLANK_NODES:
        raise UnsignableError(f"{len(around)} nodes without a name; at most {_MAX_BLANK_NODES} are read")
    looks = {label: b"\n".join(sorted(own)) for label, own in around.items()}
    times = Counter(looks.values())
    neighbours: dict[bytes, dict[tuple[bytes, bytes], set[bytes]]] = {}
    for line, labels in lines:
        for one, other in permutations([label for label in labels if times[looks[label]] > 1], 2):
            place = _seen_from(line, {one: b"_:a", other: b"_:b"}), looks[other]
            neighbours.setdefault(one, {}).setdefault(place, set()).add(other)
    orders = 0
    for nodes in _connected(neighbours):
        orders += prod(factorial(len(alike)) for node in nodes for alike in neighbours[node].values())
        if orders > _MAX_ORDERS or len(nodes) > _MAX_ALIKE:
            raise UnsignableError(f"{len(nodes)} nodes without a name look alike and point at each other")
    return any(
        times[looks[label]] > 1 and _IN_GRAPH.search(line) and not line.endswith(label + b" .")
        for line, labels in lines
        for label in labels
    )


def _seen_from(line: bytes, names: Mapping[bytes, bytes]) -> bytes:
    return _BLANK.sub(lambda found: names.get(found.group(), b"_:z"), line)


def _connected(neighbours: Mapping[bytes, Mapping[Any, set[bytes]]]) -> Iterator[set[bytes]]:
    """Yield the nodes that are connected, directly or not."""
    left = set(neighbours)
    while left:
        nodes, waiting = set(), [left.pop()]
        while waiting:
            nodes.add(node := waiting.pop())
            waiting += [other for alike in neighbours[node].values() for other in alike if other not in nodes]
        left -= nodes
        yield nodes


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the document's canonical N-Quads.

    Raises:
        UnsignableError: See `triples` and `rdfc10`.
        UnknownContextError: It names a context that is not pinned.
    """
    return rdfc10(_nquads(_dataset(document)))
