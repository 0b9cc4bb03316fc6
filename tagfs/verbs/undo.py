"""Undo: an action's facts that still decide are answered with their opposites.

Nothing is taken out of a ledger; undoing is an action of its own, which can be undone
(redo). A fact still decides when nothing about the same thing was stated after it, or
only by actions that cancel each other out: so undoing step after step leads all the way
back. What was changed again since stays as it is and is reported. A purge cannot be
undone. `opposite` and `opposite_about_tag` decide, purely.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pyroaring import BitMap

from tagfs.change import Change
from tagfs.errors import LytsError, NothingMatched
from tagfs.face import DEFAULT_MODE
from tagfs.fact import Fact
from tagfs.glossary import RULE_THING, SAVED_THING, TAG_THING, Thing
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.placement import answer_to
from tagfs.stamp import node_of
from tagfs.store import Store
from tagfs.verbs.history import Action, actions, cancelled, facts_about, facts_of
from tagfs.verbs.tagging import CHUNK_FILES
from tagfs.verbs.versions import bring_back


class Undone(NamedTuple):
    """What an undo did. `kept` says, for each kind of thing not undone, why and how often."""

    action: Action
    files: int
    answered: int
    kept: dict[str, int]
    new_action: str | None


class Past:
    """The facts about one file, and which actions cancel each other out; read only when asked."""

    def __init__(self, facts: Callable[[], Sequence[Fact]], cancelled: Collection[str]) -> None:
        self._facts = facts
        self._cancelled = cancelled

    def facts(self) -> Sequence[Fact]:
        """All facts about the file, oldest first."""
        return self._facts()

    def only_cancelled_since(self, at: str, touches: Callable[[Fact], bool]) -> bool:
        """Whether all that was stated since a stamp about the same thing cancels out."""
        return all(f.action in self._cancelled for f in self._facts() if f.at > at and touches(f))

    def is_cancelled(self, at: str) -> bool:
        """Whether the fact with this stamp belongs to an action that cancels out."""
        return any(f.at == at and f.action in self._cancelled for f in self._facts())

    def before(self, at: str, value: Callable[[Fact], Any]) -> Any:
        """The newest value stated before a stamp, None where there is none."""
        found = [v for f in self._facts() if f.at < at and (v := value(f)) is not None]
        return found[-1] if found else None


def opposite(fact: Fact, state: FileState, past: Past) -> tuple[dict[str, Any], list[str]]:
    """(statements that answer a fact about a file, reasons for what is left as it is)."""
    at = fact.at
    say: dict[str, Any] = {}
    kept: list[str] = []
    if fact.purge is not None or state.is_purged():
        # Anything stated about it now would bring the file back, without its bytes.
        return {}, ["a file deleted for good cannot be brought back"]
    if fact.made is not None:
        # Its tags, notes and the rest go to the trash with it, and come back with it.
        return ({} if state.is_trashed() else {"trash": True}), kept
    if isinstance(fact.tag, list):
        _opposite_of_tags(fact, fact.tag, state, past, say, kept)
    if fact.untag:
        back = [
            tag
            for tag in fact.untag
            if not state.has_tag(tag) and past.only_cancelled_since(at, lambda f, t=tag: _speaks_of_tag(f, t))  # type: ignore[misc]
        ]
        if back:
            say["tag"] = back
        if len(back) < len(fact.untag):
            kept.append("a tag was changed again since")
    for register in ("name", "notes", "mode", "modified", "placed_by"):
        if getattr(fact, register) is None:
            continue
        if not _still_decides(at, state.registers.get(register), past, lambda f, r=register: getattr(f, r) is not None):  # type: ignore[misc]
            if register != "placed_by":  # then nor is what it stands beside answered, and that is told
                kept.append(f"{register} was changed again since")
            continue
        value = past.before(at, lambda f, r=register: getattr(f, r))  # type: ignore[misc]
        if value is None:
            value = _at_birth(register, state)
        if value is not None:
            say[register] = value
    if fact.xattr:
        restored = {}
        for xattr in fact.xattr:
            if _still_decides(at, state.registers.get("xattr:" + xattr), past, lambda f, x=xattr: x in (f.xattr or ())):  # type: ignore[misc]
                restored[xattr] = past.before(at, lambda f, x=xattr: (f.xattr or {}).get(x))  # type: ignore[misc]
            else:
                kept.append("an attribute was changed again since")
        if restored:
            say["xattr"] = restored
    if fact.trash is not None:
        if state.is_trashed() == fact.trash:
            say["trash"] = not fact.trash
        else:
            kept.append("it was put back since" if fact.trash else "it was removed again since")
    if fact.knows:
        _opposite_of_placement(fact, "knows", fact.knows, state, past, say, kept)
        if "knows" in say:  # who may know it again may hold it again
            state = state.copy()
            state.knows.update({node: (state.newest() + "~", yes) for node, yes in say["knows"].items()})
    if fact.holds:
        _opposite_of_placement(fact, "holds", fact.holds, state, past, say, kept)
    # Contents are not answered by statements alone: bytes have to move (`_bring_back`).
    return say, kept


def _opposite_of_tags(
    fact: Fact, tags: Sequence[str], state: FileState, past: Past, say: dict[str, Any], kept: list[str]
) -> None:
    gone: dict[str, dict[str, str]] = {}
    for tag in tags:
        if not state.has_tag(tag):
            continue  # it is gone already, as the undo would have it
        standing = state.added[tag]
        if standing.get(node_of(fact.at)) == fact.at:
            gone[tag] = {node_of(fact.at): fact.at}
        elif past.only_cancelled_since(fact.at, lambda f, t=tag: _speaks_of_tag(f, t)):  # type: ignore[misc]
            # It was taken away and put back by actions that cancel out; what put it back goes too.
            gone[tag] = {
                node: stamp for node, stamp in standing.items() if stamp == fact.at or past.is_cancelled(stamp)
            }
        else:
            kept.append("a tag was changed again since")
    if gone:
        say["untag"] = gone


def _opposite_of_placement(
    fact: Fact, register: str, placed: dict[str, bool], state: FileState, past: Past, say: dict[str, Any],
    kept: list[str],
) -> None:  # fmt: skip
    at, now = fact.at, getattr(state, register)
    decides = [
        node
        for node in placed
        if _still_decides(at, now.get(node), past, lambda f, n=node: n in (getattr(f, register) or ()))  # type: ignore[misc]
    ]
    if len(decides) < len(placed):
        kept.append("its placement was changed again since")
    if not decides:
        return
    if register == "holds":
        answer = answer_to(at, state, past.facts(), decides)
        if answer is None:
            kept.append("nobody else would keep its bytes")
            return
    else:
        before = {n: past.before(at, lambda f, n=n: (f.knows or {}).get(n)) for n in decides}  # type: ignore[misc]
        answer = {n: yes is not False for n, yes in before.items() if now[n][1] != (yes is not False)}
    if answer:
        say[register] = answer


def _speaks_of_tag(fact: Fact, tag: str) -> bool:
    return (isinstance(fact.tag, list) and tag in fact.tag) or tag in (fact.untag or ())


def _still_decides(at: str, register: tuple[str, Any] | None, past: Past, touches: Callable[[Fact], bool]) -> bool:
    return register is not None and (register[0] == at or past.only_cancelled_since(at, touches))


def _at_birth(register: str, state: FileState) -> Any:
    """The value of a register that nobody had stated, None where there is no way to say so."""
    heads = state.content_heads()
    return {
        "name": state.made_name() or None,
        "notes": "",
        "mode": DEFAULT_MODE,
        "modified": heads[-1][1].modified if heads else None,
        "placed_by": [],
    }[register]


def opposite_about_tag(fact: Fact, thing: Thing) -> tuple[dict[str, Any], list[str]]:
    """The same for a fact about a tag."""
    at, node = fact.at, node_of(fact.at)
    say: dict[str, Any] = {}
    kept: list[str] = []
    for relation in ("implies", "alias"):
        added = getattr(fact, relation)
        live = thing.live(relation)
        if isinstance(added, list):
            # All of this node's additions go: an earlier one that stood would have made this one needless.
            gone = {
                t: {node: newest}
                for t in added
                if t in live and (newest := thing.additions(relation, t).get(node, "")) >= at
            }
            if gone:
                say["un" + relation] = gone
        removed = getattr(fact, "un" + relation)
        if removed:
            back = [t for t in removed if t not in live]
            if back:
                say[relation] = back
    if fact.exists is not None and thing.value("exists") == fact.exists:
        say["exists"] = not fact.exists
    return say, kept


def next_to_undo(view: View, redo: bool = False) -> Action:
    """The action that undo (or redo) would answer now. Raises `NothingMatched`.

    Undo takes the newest action that stands and answers no other; redo takes the newest
    undo that stands, as long as nothing but undoing and redoing came after it.
    """
    known = {action.action: action for action in actions(view)}
    for action in known.values():
        if action.undone or set(action.did) <= {"node", "nodeset"}:
            continue
        if action.undoes is None:
            if redo:
                break
            return action
        if redo and _is_undo(action, known):
            return action
    raise NothingMatched("there is nothing to redo" if redo else "there is nothing to undo")


def _is_undo(action: Action, known: dict[str, Action]) -> bool:
    """Whether it takes something back: an undo does, the undo of an undo (a redo) does not."""
    steps = 0
    at: Action | None = action
    while at is not None and at.undoes is not None:
        steps += 1
        at = known.get(at.undoes)
    return steps % 2 == 1


def undo(store: Store, action: Action) -> Undone:
    """Answer an action with its opposites, as one new action."""
    with store.view() as view:
        cancels = cancelled(view)
    answered, kept = 0, dict[str, int]()
    new_action: str | None = None
    files = BitMap()
    contents: dict[str, tuple[str, str]] = {}
    for part in _portions(store, action):
        _gather_contents(part, contents)

        def state(change: Change, part: Sequence[Fact] = part) -> tuple[int, list[str], str | None]:
            answering = _Answering(store, change, part, cancels)
            outcome = [answering.answer(fact) for fact in part]
            return sum(bool(say) for say, _ in outcome), [why for _, whys in outcome for why in whys], change.action

        count, reasons, new_action = store.act(state, action=new_action, undoes=action.action)
        answered += count
        for reason in reasons:
            kept[reason] = kept.get(reason, 0) + 1
        with store.view(fresh=False) as view:
            files.update(o for fact in part if fact.file and (o := view.ordinal(fact.file)) is not None)
    for guid, (newest, before) in contents.items():
        reason, new_action = _bring_back(store, guid, newest, before, new_action, action.action)
        answered += not reason
        if reason:
            kept[reason] = kept.get(reason, 0) + 1
    if not answered and not kept and not files:
        raise NothingMatched("the facts of this action are in no ledger here, so it cannot be undone")
    return Undone(action, len(files), answered, kept, new_action)


def _gather_contents(part: Sequence[Fact], contents: dict[str, tuple[str, str]]) -> None:
    """For each file with new contents in an action: the newest of them, and the one before all of them."""
    for fact in part:  # the newest first
        if fact.file is not None and fact.content is not None and fact.made is None and fact.content.was is not None:
            newest = contents[fact.file][0] if fact.file in contents else fact.content.sha256
            contents[fact.file] = (newest, fact.content.was)


def _bring_back(
    store: Store, guid: str, newest: str, before: str, new_action: str | None, undoes: str
) -> tuple[str, str | None]:
    """Put earlier contents in place again. Returns why that was not done, "" where it was, and the action."""
    heads = store.states([guid])[0].content_heads()
    if not heads or heads[-1][1].sha256 != newest:
        return "the contents were changed again since", new_action
    if newest == before:
        return "", new_action
    try:
        return "", bring_back(store, guid, before, action=new_action, undoes=undoes) or new_action
    except LytsError as exc:
        return f"earlier contents could not be put back ({exc})", new_action


def _portions(store: Store, action: Action) -> Iterator[list[Fact]]:
    """The facts of an action, the newest first, in portions that one transaction takes easily.

    No transaction is held between two portions: the facts come from the ledgers, which only grow.
    """
    with store.view() as view:
        facts = facts_of(store, view, action)
        part = list(islice(facts, CHUNK_FILES))
        more = next(facts, None)
    if more is None:
        if part:
            yield part
        return
    # A large one: its facts are read segment by segment, each in a look of its own.
    for segment in sorted(action.segments, reverse=True):
        with store.view(fresh=False) as view:
            of_segment = list(facts_of(store, view, action._replace(segments=[segment])))
        for start in range(0, len(of_segment), CHUNK_FILES):
            yield of_segment[start : start + CHUNK_FILES]


class _Answering:
    """Answers facts within one change. The past of all files of a portion is read at once, and only if one asks."""

    def __init__(self, store: Store, change: Change, part: Sequence[Fact], cancels: Collection[str]) -> None:
        self._store = store
        self._change = change
        self._guids = list(dict.fromkeys(fact.file for fact in part if fact.file is not None))
        self._cancels = cancels
        self._facts: dict[str, list[Fact]] | None = None

    def _facts_about(self, guid: str) -> Sequence[Fact]:
        if self._facts is None:
            self._facts = facts_about(self._store, self._change.view, self._guids)
        return self._facts[guid]

    def answer(self, fact: Fact) -> tuple[dict[str, Any], list[str]]:
        change = self._change
        if fact.file is not None:
            guid = fact.file
            say, why = opposite(fact, change.state(guid), Past(lambda: self._facts_about(guid), self._cancels))
            if say:
                change.about_file(guid, **say)
            return say, why
        if isinstance(fact.tag, str):
            say, why = opposite_about_tag(fact, change.thing(TAG_THING, fact.tag))
            if say:
                change.about_tag(fact.tag, **say)
            return say, why
        if fact.saved is not None:
            return self._answer_saved(fact, fact.saved)
        if fact.rule is not None:
            return self._answer_rule(fact, fact.rule)
        return {}, ["facts about devices are not undone"]

    def _answer_saved(self, fact: Fact, name: str) -> tuple[dict[str, Any], list[str]]:
        thing = self._change.thing(SAVED_THING, name)
        if thing.value("query") != fact.query:
            return {}, ["a saved query was changed again since"]
        say = {"query": self._earlier_query(name, fact.at)}
        self._change.about("saved", SAVED_THING, name, **say)
        return say, []

    def _answer_rule(self, fact: Fact, rule: str) -> tuple[dict[str, Any], list[str]]:
        thing = self._change.thing(RULE_THING, rule)
        if thing.value("holds") != fact.holds:
            return {}, ["a rule was changed again since"]
        say = {"query": fact.query, "holds": self._earlier_holders(rule, str(fact.query), fact.at)}
        self._change.about("rule", RULE_THING, rule, **say)
        return say, []

    def _earlier_holders(self, rule: str, query: str, before: str) -> dict[str, bool]:
        """The nodes that a rule named before a stamp; none where it did not stand."""
        for action in actions(self._change.view):
            if action.action < before and any(query in phrase for phrase in action.did):
                for fact in facts_of(self._store, self._change.view, action):
                    if fact.rule == rule and fact.at < before and fact.holds is not None:
                        return fact.holds
        return {}

    def _earlier_query(self, name: str, before: str) -> str:
        """The query that a name stood for before a stamp, "" where it stood for none."""
        for action in actions(self._change.view):
            if action.action < before and any(name in phrase for phrase in action.did):
                for fact in facts_of(self._store, self._change.view, action):
                    if fact.saved == name and fact.at < before and fact.query is not None:
                        return fact.query
        return ""
