"""In which ledgers proofs are said, when somebody is kept from a file."""

from __future__ import annotations

from sync.machine import Proof
from sync.proofs import divided, home_for
from tagfs.fact import Content, Fact
from tagfs.merge import join
from tagfs.nodeset import set_id
from tests.support.facts import FILES, HASHES, NODES, content, made, stamp

A, B, C, D = NODES
GUID = FILES[0]
BEFORE, AFTERWARDS = HASHES[0], HASHES[1]
KNOWING = frozenset({A, B, D})


def proof(sha256: str) -> Proof:
    return Proof(A, sha256, frozenset({A, B}), "digest")


def test_only_who_may_know_a_file_reads_what_was_proven_of_it() -> None:
    def fact(at: int, **statements: object) -> Fact:
        return Fact(at=stamp(at, A), by=A, file=GUID, **statements)  # type: ignore[arg-type]

    born = fact(1, made=made(GUID), content=content(BEFORE))
    out = fact(2, knows={C: False})
    edited = fact(3, content=Content(AFTERWARDS, 2, "2026-01-01T00:00:00Z", was=BEFORE))
    assert not home_for(join(GUID, [born]), NODES).nodes
    home = home_for(join(GUID, [born, out, edited]), NODES)
    assert (home.nodes, home.set_id, home.told) == (KNOWING, set_id(KNOWING), {BEFORE})
    proven = {GUID: {proof(BEFORE), proof(AFTERWARDS)}, FILES[1]: {proof(AFTERWARDS)}}
    members = {home.set_id: {(GUID, proof(BEFORE)), (GUID, proof(AFTERWARDS))}}
    public = {(FILES[1], proof(AFTERWARDS))}

    def said(*waiting: str) -> dict[str, set[tuple[str, Proof]]]:
        found = divided(proven, {GUID: home}, {GUID: set(waiting), FILES[1]: {B}})
        return {where: set(proofs) for where, proofs in found.items()}

    assert said(B) == {**members, "": public}
    # Who was left out is answered about the bytes that it may have, and about no later ones.
    assert said(B, C) == {**members, "": {*public, (GUID, proof(BEFORE))}}
