"""Completion by Tab: commands, options, tags, names of files, saved queries.

click finds out what stands where the cursor is; what fits there comes from the index.
Rules: never wait for another process, never build the index, never print an error: a
person is in the middle of a line. At most `MOST` candidates.

Bash splits words at `=` and `:` and wants names quoted; its part of that is in here,
the script for fish differs from click's in that values may hold commas.

Beside `lyts`, the scripts complete paths below a mount for `cd`, `ls`, `cp` and `mv`: a
query is no entry of a directory, so the shell alone cannot. What fits there is
`shell.complete_paths`; everything else stays with the shell's own completion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete, split_arg_string

from tagfs.errors import LytsError

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View

MOST = 100
_VARIABLE = "_LYTS_COMPLETE"


class _NotNow(LytsError):
    """The index would have to be built, or another process has it."""


# -- what fits -----------------------------------------------------------------


def items(kind: str, ctx: click.Context, incomplete: str) -> list[Any]:
    """What Tab offers for an argument of a kind: target, query, tags, tag, saved, nodes."""
    from tagfs.layout import default_root
    from tagfs.store import Store

    def not_now(*_: object) -> NoReturn:
        raise _NotNow

    given = ctx.find_root().params.get("store")
    root = os.path.expanduser(given) if given else default_root(dict(os.environ))
    find = _KINDS[kind]
    found: list[CompletionItem[str]] = []
    try:
        with Store(root, on_wait=not_now, on_rebuild=not_now) as store, store.view(fresh=False) as view:
            found = list(islice(find(view, incomplete), MOST))
    except (LytsError, OSError):
        pass
    if kind == "target" and (not found or "/" in incomplete):
        found.append(CompletionItem(incomplete, type="file"))
    if kind == "query-or-folder" and (not found or "/" in incomplete or incomplete[:1] in (".", "~")):
        return [CompletionItem(incomplete, type="dir")]
    return found


def _targets(view: View, incomplete: str) -> Iterable[CompletionItem[str]]:
    from pyroaring import BitMap

    from tagfs.term import ALL_TERM

    if "/" in incomplete:
        return
    living = view.posting(ALL_TERM)
    fitting = view.any_names_beginning(incomplete) & living if incomplete else BitMap(islice(living, MOST))
    for name in sorted({raw.decode("utf-8", "replace") for raw in view.names(BitMap(islice(fitting, 10 * MOST)))}):
        if name.isprintable():
            yield CompletionItem(name)


def query_parts(incomplete: str) -> tuple[str, str]:
    """A query cut before the tag under the cursor: `music+fl` into `music+` and `fl`."""
    at = max(incomplete.rfind(ch) for ch in "+,( ") + 1
    if incomplete[at : at + 1] == "-":
        at += 1
    return incomplete[:at], incomplete[at:]


def _query(view: View, incomplete: str) -> Iterable[CompletionItem[str]]:
    head, part = query_parts(incomplete)
    if head.rstrip("-").endswith("+") and "=" not in part:
        yield from _facets(view, head, part)
    else:
        yield from _spelled(view, head, part)


def _facets(view: View, head: str, part: str) -> Iterable[CompletionItem[str]]:
    """The tags that go with what stands before, the most used first."""
    from shell.text import count_text, local_ms
    from tagfs.bucket import Clock
    from tagfs.query.plan import plan
    from tagfs.query.rich import parse_rich
    from tagfs.query.run import result
    from tagfs.tag import escape_tag
    from tagfs.verbs.tagging import facets

    query = head.rstrip("-+")
    found = result(plan(parse_rich(query), view, Clock(0, local_ms), query), view)
    counted = sorted(facets(view, found), key=lambda one: (-one.files, one.tag))
    for one in counted:
        spelled = escape_tag(one.tag)
        if spelled.startswith(part) and (one.files < len(found) or head.endswith("-")):
            yield CompletionItem(head + spelled, help=count_text(one.files, "file"))


def _spelled(view: View, head: str, part: str) -> Iterable[CompletionItem[str]]:
    """The tags that begin so, and keys with their `=`."""
    from shell.text import count_text
    from tagfs.tag import BUILT_IN_KEYS, escape_tag
    from tagfs.term import TAG

    key, eq, _ = part.partition("=")
    if eq:
        for found, term in view.walk(TAG, key):
            spelled = escape_tag(f"{key}={found}")
            if spelled.startswith(part) and view.count(term):
                yield CompletionItem(head + spelled, help=count_text(view.count(term), "file"))
        return
    for tag, term in view.plain_tags(part):
        if view.count(term):
            yield CompletionItem(head + escape_tag(tag), help=count_text(view.count(term), "file"))
    for found in view.keys(part):
        yield CompletionItem(f"{head}{escape_tag(found)}=", help="a tag with a value")
    for found in BUILT_IN_KEYS if part else ():
        if found.startswith(part):
            yield CompletionItem(f"{head}{found}=", help="always there")


def _tag_list(view: View, incomplete: str) -> Iterable[CompletionItem[str]]:
    at = incomplete.rfind(",") + 1
    for one in _spelled(view, incomplete[:at], incomplete[at:]):
        if one.help != "always there":
            yield one


def _saved(view: View, incomplete: str) -> Iterable[CompletionItem[str]]:
    from tagfs.verbs.saved import saved_queries

    for name, query in saved_queries(view).items():
        if name.startswith(incomplete):
            yield CompletionItem(name, help=query)


def _nodes(view: View, incomplete: str) -> Iterable[CompletionItem[str]]:
    at = incomplete.rfind(",") + 1
    for name in sorted(view.node_aliases()):
        if name.startswith(incomplete[at:]) and name not in incomplete[:at].split(","):
            yield CompletionItem(incomplete[:at] + name)


_KINDS: dict[str, Callable[[Any, str], Iterable[CompletionItem[str]]]] = {
    "target": _targets,
    "query": _query,
    "query-or-folder": _query,
    "tags": _tag_list,
    "tag": _tag_list,
    "saved": _saved,
    "nodes": _nodes,
}


# -- the shells ----------------------------------------------------------------

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value response
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1 2>/dev/null)
    for line in $response; do
        IFS=',' read -r type value <<< "$line"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
        case $value in *=) compopt -o nospace ;; esac
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_BASH_PATHS = r"""
# Paths below a lyts mount: the end of a query. All else is left to what completed before.
_lyts_paths() {
    local found
    if [[ ${COMP_WORDS[*]:1:COMP_CWORD} == *[+,=]* && $(< /proc/self/mounts) == *' fuse.lyts '* ]]; then
        local IFS=$'\n'
        found=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_path \
            %(prog_name)s 2>/dev/null)
        if [[ -n $found ]]; then
            mapfile -t COMPREPLY <<< "$found"
            compopt +o filenames -o nospace -o nosort
            return 0
        fi
        unset IFS
    fi
    local before=_lyts_before_${1##*/}
    before=${!before}
    if [[ -n $before ]]; then "$before" "$@"; fi
}
_lyts_take_over() {
    local name spec before
    for name in cd ls cp mv; do
        spec=$(complete -p $name 2>/dev/null)
        case $spec in
            *_lyts_paths*) ;;
            '')
                case $name in
                    cd) complete -o bashdefault -o dirnames -F _lyts_paths cd ;;
                    *) complete -o bashdefault -o default -F _lyts_paths $name ;;
                esac ;;
            *' -F '*)
                before=${spec##* -F }
                before=${before%%%% *}
                printf -v _lyts_before_$name %%s "$before"
                eval "${spec/ -F $before / -F _lyts_paths }" ;;
        esac
    done
}
_lyts_take_over
"""

_ZSH_PATHS = r"""
# Paths below a lyts mount: the end of a query. All else is left to what completed before.
_lyts_paths() {
    local -a found
    if [[ $PREFIX == *[+,=]* && "$(< /proc/self/mounts)" == *' fuse.lyts '* ]]; then
        found=("${(@f)$(env COMP_WORD="$PREFIX" %(complete_var)s=zsh_path %(prog_name)s 2>/dev/null)}")
        if [[ -n $found[1] ]]; then
            compadd -U -Q -S '' -- $found
            return 0
        fi
    fi
    ${_lyts_before[$service]:-_files} "$@"
}
_lyts_take_over() {
    local name
    typeset -gA _lyts_before
    for name in cd ls cp mv; do
        [[ $_comps[$name] == _lyts_paths ]] || _lyts_before[$name]=$_comps[$name]
        compdef _lyts_paths $name
    done
}
_lyts_take_over
"""

_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \
%(prog_name)s 2>/dev/null)
    for completion in $response
        set -l part (string split --max 1 "," -- $completion)
        switch $part[1]
            case dir
                __fish_complete_directories $part[2]
            case file
                __fish_complete_path $part[2]
            case plain
                echo $part[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"

# Paths below a lyts mount: the end of a query. Offered beside what fish completes itself.
function _lyts_paths
    set -l word (commandline -ct)
    if string match -q -r '[+,=]' -- $word; and string match -q '* fuse.lyts *' < /proc/self/mounts
        env COMP_WORD=$word %(complete_var)s=fish_path %(prog_name)s 2>/dev/null
    end
end
for name in cd ls cp mv
    complete --command $name --arguments "(_lyts_paths)"
end
"""


class Bash(BashComplete):
    """Bash: words are parted at `=` and `:`, and what is put in must be quoted."""

    source_template = _BASH + _BASH_PATHS

    def get_completion_args(self) -> tuple[list[str], str]:
        raw = os.environ["COMP_WORDS"].split("\n")
        cursor = int(os.environ["COMP_CWORD"])
        words, self._before, self._open_quote = bash_words(raw[: cursor + 1], cursor)
        return words[1:-1], words[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        value = str(item.value).removeprefix(self._before)
        if item.type == "plain" and not self._open_quote:
            value = re.sub(r"""([^\w%+=:,./@-])""", r"\\\1", value)
        return f"{item.type},{value}"


def bash_words(raw: list[str], cursor: int) -> tuple[list[str], str, bool]:
    """Bash's words put together again; what stands before the cursor's own word; whether that opens a quote."""
    joined: list[str] = []
    glue = False
    current = raw[cursor] if cursor < len(raw) else ""
    for word in [*raw[:cursor], current]:
        if joined and (glue or word in ("=", ":")):
            joined[-1] += word
        else:
            joined.append(word)
        glue = word in ("=", ":")
    plain = ["".join(split_arg_string(word)[:1]) for word in joined]
    was_joined = joined[-1] != current
    before = plain[-1][: max(plain[-1].rfind("="), plain[-1].rfind(":")) + 1] if was_joined else ""
    return plain, before, current[:1] in ("'", '"')


class Fish(FishComplete):
    """Fish: a value may hold a comma."""

    source_template = _FISH


class Zsh(ZshComplete):
    """Zsh: as click has it, and paths."""

    source_template = ZshComplete.source_template + _ZSH_PATHS


_SHELLS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def paths(shell: str, environ: Mapping[str, str]) -> Iterable[str]:
    """What Tab offers for the path under the cursor, as the shell is to put it in."""
    from shell.complete_paths import MOST, candidates

    before, quoted = "", shell == "fish"
    if shell == "bash":
        cursor = int(environ["COMP_CWORD"])
        words, before, quoted = bash_words(environ["COMP_WORDS"].split("\n")[: cursor + 1], cursor)
        word = words[-1]
    else:
        word = "".join(split_arg_string(environ["COMP_WORD"])[:1])
    home = environ.get("HOME") or os.path.expanduser("~")
    for found in islice(candidates(word, os.getcwd(), home), MOST):
        value = found.removeprefix(before)
        yield value if quoted else escaped(value)


def escaped(text: str) -> str:
    """A word as bash and zsh read it; a tilde at its begin stays what it is."""
    return re.sub(r"""([^\w%+=:,./@~-])""", r"\\\1", text)


def script(shell: str) -> str:
    """What a person's shell is to read."""
    from shell.root import root

    made = _SHELLS[shell](root, {}, "lyts", _VARIABLE)
    return made.source_template % made.source_vars()


def answer(app: App, instruction: str) -> int:
    """Answer the question of such a script. Never an error: a person is typing."""
    from shell.root import root

    shell, _, what = instruction.partition("_")
    kind = _SHELLS.get(shell)
    if kind is None or what not in ("complete", "path"):
        return 1
    try:
        if what == "path":
            app.output.out.lines(paths(shell, app.environ))
            app.output.flush()
            return 0
        text = kind(root, {"obj": app}, "lyts", _VARIABLE).complete()
        app.output.out.raw((text + "\n").encode("utf-8", "backslashreplace"))
        app.output.flush()
    except Exception:  # noqa: BLE001 - whatever it is, a traceback amid a line helps nobody
        return 1
    return 0
