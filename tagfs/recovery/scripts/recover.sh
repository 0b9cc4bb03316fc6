#!/bin/sh
# Gets a person's files out of a lyts store, as plain files in plain folders. Needs nothing but
# a shell and the small programs that every Unix has (busybox will do).
#
# You have found a folder (on a disk, in a backup) in which somebody kept files with a program
# called lyts. This script copies those files out of it, with the names they had:
#
#     sh recover.sh /where/to/put/them
#
# It only reads the folder that it lies in, or the one that you name:
#
#     sh recover.sh /where/to/put/them /media/disk1/lyts
#
# It changes nothing there. Run it again with a further disk and the same target: it goes on,
# and does nothing twice. Afterwards the target contains
#
#     REPORT.txt        what came out, what is missing and who has it: read this first
#     files/            the files, one folder for each tag: music/So What.flac. A file with several tags
#                       is in the folder of each, and takes its room on the disk only once
#     other-versions/   earlier versions, and bytes that are not what was written down for a file
#     nameless/         files that are listed nowhere: no name was found, or their owner had thrown them away
#     ledgers/          a copy of all notes about the files, unchanged
#     FILES.csv         a table of the files in files/, with tags and notes
#
# Names and tags are read from index.csv, the table that lies beside this script. Without it all
# files come out as well, under the names that their bytes have. recover.py does the same, needs
# Python, and reads the ledgers themselves: it knows more where index.csv is old or lost.
#
# By hand: the bytes of a file are at sets/<who keeps them>/data/9c/9c0f7be1-...--name.ext, and
# the row of index.csv that begins with 9c0f7be1-... says what it was called.

set -u
LC_ALL=C
export LC_ALL
sep=$(printf '\001')

say() { printf '%s\n' "$*" >&2; }

stop() {
    say "Stopped: $1. ${done_count:-0} files are out so far, each of them whole. Make room, or begin in a folder on a larger disk; then run the same command again, and it goes on."
    exit 3
}

# --- what is asked for --------------------------------------------------------------------------

case ${1-} in
    '' | -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        [ "${1-}" ] && exit 0
        exit 2
        ;;
esac
if [ $# -gt 2 ]; then
    say "One target and one source, please. Run it once for each further disk, with the same target."
    exit 2
fi
given=$1
source=${2-$(dirname -- "$0")}
if ! source=$(cd -- "$source" 2> /dev/null && pwd -P); then
    say "${2-} is not a folder. Nothing was done."
    exit 2
fi

# real PATH: what it is without links, also where its last parts do not exist yet.
real() {
    case $1 in
        /*) there=$1 ;;
        *) there=$PWD/$1 ;;
    esac
    rest=
    while [ ! -d "$there" ]; do
        rest=/${there##*/}$rest
        there=${there%/*}
        there=${there:-/}
    done
    case $rest/ in */../*) return 1 ;; esac
    there=$(cd -- "$there" && pwd -P) || return 1
    printf '%s\n' "${there%/}$rest"
}

if ! target=$(real "$given"); then
    say "$given cannot be used. Nothing was done."
    exit 2
fi
case $target/ in
    "${source%/}"/*)
        say "$given lies inside $source, which is only to be read. Choose a folder elsewhere, best on another disk. Nothing was done."
        exit 2
        ;;
esac
case ${source%/}/ in
    "$target"/*)
        say "$source lies inside $given. Choose an empty folder to put the files into. Nothing was done."
        exit 2
        ;;
esac

if command -v sha256sum > /dev/null 2>&1; then
    sum() { sha256sum; }
elif command -v shasum > /dev/null 2>&1; then
    sum() { shasum -a 256; }
else
    say "sha256sum is missing here; without it nothing could be checked. Nothing was done."
    exit 2
fi

work=$target/.recovering
part=$work/part
mkdir -p -- "$work" 2> /dev/null || stop "$given cannot be written"
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd -- "$source" || exit 2

# --- what there is -------------------------------------------------------------------------------

# Names with line breaks in them are not ours; what somebody put among the data files is told of.
find . -type f ! -path '*[[:cntrl:]]*' 2> "$work/not-read" | sed 's,^\./,,' | sort > "$work/all" ||
    stop "$given cannot be written"
find . -type f -path '*/data/*[[:cntrl:]]*' -exec sh -c 'printf "%s\n" "$(printf "%s" "$1" | tr "\001-\037\177" "_")"' sh {} \; \
    2> /dev/null | sed 's,^\./,,; s,$, (its name has a line break or the like; recover.py takes it),' >> "$work/not-read" ||
    stop "$given cannot be written"

# The part of the work that deals with names and tables. It is run several times, each time
# with another question, and reads the same tables.
# shellcheck disable=SC2016 # awk's own dollars
program='
function letters(plain, all,    i) {
    for (i = 1; i < length(all); i += 2) folded[substr(all, i, 2)] = plain
}
function pairs(all,    i) {
    for (i = 1; i < length(all); i += 4) folded[substr(all, i, 2)] = substr(all, i + 2, 2)
}
function begin(    i) {
    for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
    for (i = 0; i < 16; i++) { digit[substr("0123456789abcdef", i + 1, 1)] = i; digit[substr("0123456789ABCDEF", i + 1, 1)] = i }
    letters("a", "ÀÁÂÃÄÅàáâãäåĀāĂăĄą"); letters("c", "ÇçĆćĈĉĊċČč"); letters("d", "Ďď")
    letters("e", "ÈÉÊËèéêëĒēĔĕĖėĘęĚě"); letters("g", "ĜĝĞğĠġĢģ"); letters("h", "Ĥĥ")
    letters("i", "ÌÍÎÏìíîïĨĩĪīĬĭĮįİ"); letters("j", "Ĵĵ"); letters("k", "Ķķ"); letters("l", "ĹĺĻļĽľ")
    letters("n", "ÑñŃńŅņŇň"); letters("o", "ÒÓÔÕÖòóôõöŌōŎŏŐő"); letters("r", "ŔŕŖŗŘř"); letters("s", "ŚśŜŝŞşŠšſ")
    letters("t", "ŢţŤť"); letters("u", "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲų"); letters("w", "Ŵŵ"); letters("y", "ÝýÿŶŷŸ")
    letters("z", "ŹźŻżŽž")
    pairs("ÆæÐðØøÞþĐđĦħĲĳĿŀŁłŊŋŒœŦŧАаБбВвГгДдЕеЖжЗзИиКкЛлМмНнОоПпРрСсТтУуФфХхЦцЧчШшЩщЪъЫыЬьЭэЮюЯяЂђЄєЅѕІіЈјЉљЊњЋћЏџ")
    pairs("ЙиЁеЇіЎуЃгЌкйиёеїіўуѓгќк")
    pairs("ΑαΒβΓγΔδΕεΖζΗηΘθΙιΚκΛλΜμΝνΞξΟοΠπΡρΣσΤτΥυΦφΧχΨψΩωςσΆαΈεΉηΊιΌοΎυΏωάαέεήηίιόούυώωΪιΫυϊιϋυ")
}
# A name that every file system takes, and that shows as it is.
function safe(name) {
    gsub(/[\001-\037"*\/:<>?\\|\177]/, "_", name)
    if (name ~ /[\200-\377]/) {
        gsub(/\302[\200-\237\255]/, "_", name)
        gsub(/\330\234|\342\200[\213\216\217\250-\256]|\342\201[\240-\257]|\357\273\277/, "_", name)
        gsub(/\355[\240-\277][\200-\277]/, "_", name)
    }
    gsub(/^ +|[. ]+$/, "", name)
    if (name == "") name = "_"
    if (tolower(name) ~ /^(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\.|$)/) name = "_" name
    return name
}
# Equal for two names that some file systems take for one.
function clash(path,    i, two, out) {
    path = tolower(path)
    if (path !~ /[\200-\377]/) return path
    gsub(/\314[\200-\277]|\315[\200-\257]/, "", path)
    out = ""
    for (i = 1; i <= length(path); i++) {
        two = substr(path, i, 2)
        if (two in folded) { out = out folded[two]; i++ } else out = out substr(path, i, 1)
    }
    return out
}
function cut(text, limit,    at, lead) {
    if (length(text) <= limit) return text
    at = limit
    while (at > 0 && code[substr(text, at, 1)] >= 128 && code[substr(text, at, 1)] < 192) at--
    lead = code[substr(text, at, 1)]
    if (limit - at + 1 < (lead < 128 ? 1 : lead < 224 ? 2 : lead < 240 ? 3 : 4)) limit = at - 1
    return substr(text, 1, limit)
}
# A safe name with something before its extension that tells it from others.
function named(name, mark,    stem, ext) {
    stem = name; ext = ""
    if (match(name, /\.[A-Za-z0-9]+$/) && RSTART > 1 && RLENGTH <= 17) {
        stem = substr(name, 1, RSTART - 1)
        ext = substr(name, RSTART)
    }
    if (mark != "") mark = "~" mark
    return cut(stem, 255 - length(mark) - length(ext)) mark ext
}
function unescape(text,    at, out, high, low) {
    out = ""
    while ((at = index(text, "%")) > 0) {
        high = substr(text, at + 1, 1); low = substr(text, at + 2, 1)
        if ((high in digit) && (low in digit)) {
            out = out substr(text, 1, at - 1) sprintf("%c", digit[high] * 16 + digit[low])
            text = substr(text, at + 3)
        } else { out = out substr(text, 1, at); text = substr(text, at + 1) }
    }
    return out text
}
# A text as a cell of a table; line breaks as \002, since it is sorted before it is written.
function cell(text) {
    if (text ~ /^[=+@\t\r\n-]/ || substr(text, 1, 1) == quote || text ~ /^\357\274[\235\213\215\240]/) text = quote text
    if (text ~ /[",\r\n]/) { gsub(/"/, "\"\"", text); text = "\"" text "\"" }
    gsub(/\n/, "\002", text)
    return text
}
# The parts of a list, in order of their bytes: list[1..n].
function in_order(cell_text, what,    raw, n, i, j, one, seen) {
    split("", list)
    n = 0
    i = split(cell_text, raw, ",")
    for (j = 1; j <= i; j++) {
        one = raw[j]
        gsub(/^ +| +$/, "", one)
        if (one == "") continue
        one = unescape(one)
        if (what == "tags" && (one in seen)) continue
        seen[one] = 1
        list[++n] = one
    }
    for (i = 2; i <= n; i++) {
        one = list[i]
        for (j = i - 1; j > 0 && "x" list[j] > "x" one; j--) list[j + 1] = list[j]
        list[j + 1] = one
    }
    return n
}
# Splits a row of a table into cells[1..n].
function cells_of(row,    n, at, rest) {
    split("", cells)
    if (row !~ /"/) { n = split(row, cells, ","); return n }
    n = 0
    while (1) {
        if (substr(row, 1, 1) == "\"") {
            rest = substr(row, 2); cells[++n] = ""
            while ((at = index(rest, "\"")) > 0) {
                cells[n] = cells[n] substr(rest, 1, at - 1)
                if (substr(rest, at + 1, 1) != "\"") break
                cells[n] = cells[n] "\""
                rest = substr(rest, at + 2)
            }
            row = at ? substr(rest, at + 1) : ""
            if (substr(row, 1, 1) != ",") return n
            row = substr(row, 2)
        } else {
            at = index(row, ",")
            if (!at) { cells[++n] = row; return n }
            cells[++n] = substr(row, 1, at - 1)
            row = substr(row, at + 1)
        }
    }
}
function take_row(row,    n, i, guid, value) {
    sub(/\r$/, "", row)
    n = cells_of(row)
    if (!has_header) {
        split("", column)
        for (i = 1; i <= n; i++) { value = tolower(cells[i]); gsub(/^\357\273\277|^ +| +$/, "", value); column[value] = i }
        has_header = 1
        return
    }
    for (i = 1; i <= n; i++) if (substr(cells[i], 1, 1) == quote) cells[i] = substr(cells[i], 2)
    guid = ("guid" in column) ? tolower(cells[column["guid"]]) : ""
    gsub(/ /, "", guid)
    if (!is_guid(guid) || (guid in name) || !("name" in column) || cells[column["name"]] == "") return
    order[++rows] = guid
    name[guid] = cells[column["name"]]
    size[guid] = ("size_bytes" in column) ? cells[column["size_bytes"]] : ""
    sha256[guid] = ("sha256" in column) ? tolower(cells[column["sha256"]]) : ""
    modified[guid] = ("modified" in column) ? cells[column["modified"]] : ""
    tags[guid] = ("tags" in column) ? cells[column["tags"]] : ""
    notes[guid] = ("notes" in column) ? cells[column["notes"]] : ""
    holds[guid] = ("holds" in column) ? cells[column["holds"]] : ""
    from[guid] = ("from" in column) ? cells[column["from"]] : ""
}
function is_guid(text) { return length(text) == 36 && text ~ /^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$/ && substr(text, 9, 1) substr(text, 14, 1) substr(text, 19, 1) substr(text, 24, 1) == "----" }
function read_tables(    path, line, row, open) {
    while ((getline path < tables) > 0) {
        has_header = 0; row = ""; open = 0
        while ((getline line < path) > 0) {
            row = open ? row "\n" line : line
            open = (open + gsub(/"/, "\"", line)) % 2
            if (!open) take_row(row)
        }
        close(path)
    }
}
# Where each file comes to: folders[guid, i], count of them, and how much of its identifier it needs.
function find_places(    i, j, n, guid, again, key, k, more, left) {
    for (i = 1; i <= rows; i++) {
        guid = order[i]
        clean[guid] = safe(name[guid])
        level[guid] = 0
        n = in_order(tags[guid], "tags")
        if (n == 0) list[++n] = "untagged"
        folder_count[guid] = 0
        for (j = 1; j <= n; j++) {
            key = "files/" cut(safe(list[j]), 255)
            for (k = 1; k <= folder_count[guid] && folders[guid, k] != key; k++);
            if (k > folder_count[guid]) folders[guid, ++folder_count[guid]] = key
        }
        todo[i] = guid
    }
    left = rows
    while (left) {
        for (i = 1; i <= left; i++) {
            guid = todo[i]
            for (j = 1; j <= folder_count[guid]; j++) {
                key = clash(folders[guid, j] "/" at_level(guid, level[guid]))
                if ((key, guid) in takes) continue
                takes[key, guid] = level[guid]
                takers[key] = takers[key] " " guid
                number[key]++
            }
        }
        split("", again)
        more = 0
        for (key in number) if (number[key] > 1) {
            n = split(takers[key], who, " ")
            for (j = 1; j <= n; j++) if (level[who[j]] < 2 && takes[key, who[j]] == level[who[j]] && !(who[j] in again)) { again[who[j]] = 1; todo[++more] = who[j] }
        }
        for (i = 1; i <= more; i++) level[todo[i]]++
        left = more
    }
}
function at_level(guid, n) { return named(clean[guid], n == 0 ? "" : n == 1 ? substr(guid, 1, 8) : guid) }
# The place in one of its folders, and others where that is taken.
function choices(guid, folder,    i, out) {
    out = ""
    for (i = level[guid]; i < 3; i++) out = out sep folder "/" at_level(guid, i)
    for (i = 0; i < level[guid]; i++) out = out sep
    return out
}
function tell_row(guid, path,    i) {
    print "F" sep guid sep sha256[guid] sep modified[guid] sep path choices(guid, folders[guid, 1])
}
function tell_links(guid,    i) {
    for (i = 2; i <= folder_count[guid]; i++) print "L" sep guid sep sep sep choices(guid, folders[guid, i])
}
# What a path is: sets guid and how. Returns 1 for bytes of a person, 2 for something else that may be some.
function look_at(path,    parts, n, base, parent, i, before) {
    n = split(path, parts, "/")
    base = parts[n]; parent = n > 1 ? parts[n - 1] : ""
    guid = ""; how = ""
    before = ""
    for (i = 1; i < n; i++) {
        if (parts[i] == ".stfolder") return 0
        if (parts[i] == "data" && how == "" && ((before in stores) || (i > 2 && parts[i - 2] == "sets"))) how = "data"
        else if (parts[i] == "lost+found") how = "lost"
        else if (parts[i] == "scratch") how = "scratch"
        else if (parts[i] == ".stversions") how = "replaced"
        else if (parts[i] == "keep") how = "kept"
        before = before parts[i] "/"
    }
    if (is_derived(path)) return 0
    # Before all else: what a file of a person is called (letter.jsonl) does not make it one of lyts.
    if (is_guid(substr(base, 1, 36)) && !(how == "scratch" && substr(base, 37) == ".written")) {
        guid = substr(base, 1, 36)
        if (index(base, ".sync-conflict-")) how = "conflict"
        else if (how == "lost" || how == "data") how = ""
        return 1
    }
    if (base == "index.csv" || base == "FILES.csv") return 0
    if (base ~ /\.jsonl$/) {
        if (how == "scratch" || base ~ /^(proofs\.|[0-9]+T[0-9]+\.[0-9]+Z-[0-9a-f]+-[0-9a-f]+\.jsonl$)/) return 0
        if (how == "data") { how = "lost"; return 1 }
        how = "loose"
        return 2 # a ledger, or a file of a person, copied out under its name
    }
    # lyts calls none so: somebody put it there, by hand or with a program that syncs.
    if (how == "data" && base !~ /^(\.syncthing\.|~syncthing~)/) { how = "lost"; return 1 }
    if (length(base) == 64 && base !~ /[^0-9a-f]/ && is_guid(parent)) { guid = parent; how = "kept"; return 1 }
    if (base in pages) return 0
    if (how == "lost" || how == "scratch") return base ~ /^(\.|seen-|proofs-)/ ? 0 : 1
    how = "loose"
    return 2
}
# In a folder of a store that has nothing of a person in it?
function is_derived(path,    at, before, first) {
    before = ""
    while (1) {
        at = index(path, "/")
        if (!at) return 0
        first = substr(path, 1, at - 1)
        if ((before in stores) && (first ~ /^(index|index\.new|text|syncthing|migration|pages)$/ || first ~ /^before-format-/)) return 1
        before = before first "/"
        path = substr(path, at + 1)
    }
}
function read_paths(    path, i, n, parts, before) {
    n = split("README.md index.html index.csv manifest-sha256.txt recover.sh recover.py FORMAT.md store.toml sync.toml lock dirty mounts.lock seen.json proofs.jsonl CACHEDIR.TAG reserve sync.db", parts, " ")
    for (i = 1; i <= n; i++) pages[parts[i]] = 1
    while ((getline path < all) > 0) {
        n = split(path, parts, "/"); before = ""
        for (i = 1; i <= n; i++) {
            if (parts[i] == "ledgers" || parts[i] == "sets" || parts[i] == "store.toml" || parts[i] == "index.html") stores[before] = 1
            before = before parts[i] "/"
        }
    }
    close(all)
}
function kept_name(path,    parts, n) {
    n = split(path, parts, "/")
    return safe(how == "kept" && length(parts[n]) == 64 ? guid "--" substr(parts[n], 1, 8) : parts[n])
}
function count(n, one, many) { return n " " (n == 1 ? one : many) }

BEGIN {
    begin(); read_tables(); read_paths(); find_places()

    # 1. Which bytes go where.
    if (mode == "plan") {
        while ((getline path < all) > 0) {
            what = look_at(path)
            if (what == 1 && how == "" && (guid in name)) { if (!(guid in standing)) known[++known_count] = guid; standing[guid] = standing[guid] "\n" path }
        }
        for (i = 1; i <= known_count; i++) {
            guid = known[i]
            n = split(substr(standing[guid], 2), paths, "\n")
            for (j = 1; j <= n; j++) tell_row(guid, paths[j])
            tell_links(guid)
        }
    }

    # 2. Which bytes have not come out: to be hashed.
    if (mode == "rest") {
        while ((getline line < results) > 0) { split(line, field, sep); if (field[1] == "came") { used[field[4]] = 1; out[field[2]] = 1 } }
        missing = 0
        for (i = 1; i <= rows; i++) if (!(order[i] in out)) missing++
        while ((getline path < all) > 0) {
            what = look_at(path)
            if (what == 1 && !(path in used)) print path
            if (what == 2 && missing) loose[++loose_count] = path
        }
        for (i = 1; i <= loose_count; i++) print loose[i]
    }

    # 3. What is missing may be among them; the others come out apart.
    if (mode == "more") {
        while ((getline line < results) > 0) {
            split(line, field, sep)
            if (field[1] != "came") continue
            out[field[2]] = 1
            if (sha256[field[2]] != "" && !(sha256[field[2]] in have)) have[sha256[field[2]]] = field[4]
        }
        while ((getline line < hashed) > 0) {
            hash = substr(line, 1, 64); path = substr(line, 66)
            if (!(hash in found)) hashes[++hash_count] = hash
            found[hash] = found[hash] "\n" path
        }
        for (i = 1; i <= rows; i++) {
            guid = order[i]
            if ((guid in out) || sha256[guid] == "") continue
            if (sha256[guid] in found) { n = split(substr(found[sha256[guid]], 2), paths, "\n"); for (j = 1; j <= n; j++) tell_row(guid, paths[j]) }
            else if (sha256[guid] in have) tell_row(guid, have[sha256[guid]])
            else continue
            tell_links(guid)
            filled[sha256[guid]] = 1
        }
        for (i = 1; i <= hash_count; i++) {
            hash = hashes[i]
            if ((hash in have) || (hash in filled)) continue
            n = split(substr(found[hash], 2), paths, "\n")
            best = ""; ours = ""
            for (j = 1; j <= n; j++) {
                if (look_at(paths[j]) != 1) continue
                if (ours == "") ours = paths[j]
                if (best == "" && (guid in name)) best = paths[j]
            }
            if (ours == "") continue
            if (best == "") { look_at(ours); left[hash] = ours; bare[clash(kept_name(ours))]++ } else left[hash] = best
        }
        for (hash in left) {
            path = left[hash]
            look_at(path)
            if (guid in name) {
                clear = safe(name[guid])
                print "O" sep guid "," how sep hash sep sep path sep "other-versions/" named(clear, substr(hash, 1, 8)) sep "other-versions/" named(clear, hash) sep
            } else {
                clear = kept_name(path)
                first = bare[clash(clear)] > 1 ? "" : "nameless/" named(clear, "")
                print "N" sep guid "," how sep hash sep sep path sep first sep "nameless/" named(clear, substr(hash, 1, 8)) sep "nameless/" named(clear, hash)
            }
        }
    }

    # 4. The table of what came out, to be sorted.
    if (mode == "table" || mode == "report") {
        while ((getline line < results) > 0) {
            n = split(line, field, sep)
            if (field[1] == "came") { place[field[2]] = field[3]; files++ }
            if (field[1] == "elsewhere") elsewhere[++elsewhere_count] = field[3]
            if (field[1] == "other") { others[++other_count] = line; split(field[2], pair, ","); has_other[pair[1]] = 1 }
            if (field[1] == "nameless") nameless[++nameless_count] = field[3]
            if (field[1] == "unread") unread[++unread_count] = field[2]
            if (field[1] == "nolink") nolink = 1
        }
    }
    if (mode == "table") for (guid in place) {
        n = in_order(tags[guid], "tags")
        joined = ""
        for (i = 1; i <= n; i++) joined = joined (i > 1 ? "," : "") escape_tag(list[i])
        print place[guid] sep cell(guid) "," cell(name[guid]) "," cell(place[guid]) "," cell(size[guid]) "," cell(sha256[guid]) "," cell(modified[guid]) "," cell(joined) "," cell(notes[guid]) "," cell(from[guid])
    }

    # 5. The report, in lines that are sorted: number of the section, key, text.
    if (mode == "report") {
        for (i = 1; i <= rows; i++) if (!(order[i] in place)) missing_guid[++missing] = order[i]
        top("What came out of the store"); top("")
        top(count(files + 0, "file", "files") " came out as they were, into files/")
        if (nolink) top("This disk cannot keep a file under several names, so each is in the folder of its first tag.")
        top(!rows ? "No file is listed here, so whether something is missing cannot be told." : missing ? count(missing, "file is", "files are") " missing; see below." : "Nothing is missing.")
        if (elsewhere_count) head(1, "\002The bytes of these were not in their place, and were known by their content:\002")
        for (i = 1; i <= elsewhere_count; i++) body(1, elsewhere[i], "  " elsewhere[i])
        if (missing) head(2, "\002MISSING: the right bytes of these are not here. Look on the devices named, and in backups.\002")
        for (i = 1; i <= missing; i++) {
            guid = missing_guid[i]
            n = in_order(tags[guid], "tags")
            joined = ""
            for (j = 1; j <= n; j++) joined = joined (j > 1 ? "," : "") escape_tag(list[j])
            text = "  " safe(name[guid]) (n ? "  [" joined "]" : "") "  (" guid ")\002    kept by: "
            n = in_order(holds[guid], "holds")
            joined = ""
            for (j = 1; j <= n; j++) joined = joined (j > 1 ? ", " : "") safe(list[j])
            text = text (n ? joined : "nobody known")
            if (guid in has_other) text = text "\002    other bytes of it are here; see OTHER VERSIONS"
            body(2, safe(name[guid]) sep guid, text)
        }
        if (other_count) head(3, "\002OTHER VERSIONS: earlier versions; the other one where a file was edited on two devices at\002once; or bytes that are not what was written down (damaged, or edited since).\002")
        whence[""] = "what stood in its place"; whence["conflict"] = "edited on two devices at once"
        whence["kept"] = "set aside by lyts"; whence["replaced"] = "set aside by Syncthing"; whence["scratch"] = "was being written"
        for (i = 1; i <= other_count; i++) {
            split(others[i], field, sep); split(field[2], pair, ",")
            body(3, field[3], "  " field[3] "\002    of " safe(name[pair[1]]) " (" pair[1] "): " whence[pair[2]])
        }
        if (nameless_count) head(4, "\002NAMELESS: these are listed nowhere (nothing was noted about them, or their owner had thrown them\002away); they have the name that their bytes had.\002")
        for (i = 1; i <= nameless_count; i++) body(4, nameless[i], "  " nameless[i])
        if (unread_count) head(5, "\002COULD NOT BE READ:\002")
        for (i = 1; i <= unread_count; i++) body(5, unread[i], "  " unread[i])
    }
}
function top(text) { printf "0%s%06d%s%s\n", sep, ++tops, sep sep, text }
function head(section, text) { print section sep sep sep text }
function body(section, key, text) { print section sep "b" key sep sep text }
function escape(text,    i, out, one) {
    if (text !~ /[\/,+=%]/) return text
    out = ""
    for (i = 1; i <= length(text); i++) {
        one = substr(text, i, 1)
        out = out (index("/,+=%", one) ? sprintf("%%%02X", code[one]) : one)
    }
    return out
}
function escape_tag(tag,    at, value) {
    at = index(tag, "=")
    if (!at) return escape(tag)
    value = escape(substr(tag, at + 1))
    gsub(/\.\./, "%2E%2E", value)
    return escape(substr(tag, 1, at - 1)) "=" value
}
'
# The tables, the one nearest the top first.
grep -E '(^|/)(index|FILES)\.csv$' "$work/all" |
    awk '{ print gsub("/", "/") "\001" $0 }' | sort -t "$sep" -k 1n -k 2 | cut -d "$sep" -f 2- > "$work/tables"
: > "$work/results" || stop "$given cannot be written"
: > "$work/hashed"

ask() { # ask MODE: runs the program above
    awk -v mode="$1" -v sep="$sep" -v quote="'" -v tables="$work/tables" -v all="$work/all" \
        -v results="$work/results" -v hashed="$work/hashed" "$program"
}

# --- copying ----------------------------------------------------------------------------------------

hash() { # hash FILE: sets $hash
    hash=$(sum < "$1") 2> /dev/null || return 1
    hash=${hash%% *}
}

note() { (IFS=$sep; printf '%s\n' "$*") >> "$work/results" || stop "$given cannot be written"; }

# put SOURCE SHA256 TIME PLACE...: copies a file to the first place where nothing else stands,
# unless it is there; sets $place. Status 1: its bytes are others. 2: it could not be read.
put() {
    from=$1 wanted=$2 when=$3
    shift 3
    for place; do
        [ -n "$place" ] || continue
        if [ -e "$target/$place" ] || [ -L "$target/$place" ]; then
            if [ -z "$wanted" ]; then hash "./$from" && wanted=$hash; fi
            [ -f "$target/$place" ] && hash "$target/$place" && [ "$hash" = "$wanted" ] && return 0
            continue
        fi
        if ! wrong=$(cat "./$from" 2>&1 > "$part"); then
            case $wrong in
                *'No space left'* | *quota* | *Quota*) stop "the disk of $given is full" ;;
                '' | *'write error'*) stop "$given cannot be written" ;;
            esac
            return 2
        fi
        if [ -n "$wanted" ]; then
            hash "$part" || stop "$given cannot be read again"
            [ "$hash" = "$wanted" ] || return 1
        fi
        [ -d "$target/${place%/*}" ] || mkdir -p -- "$target/${place%/*}" || stop "$given cannot be written"
        if [ -n "$when" ]; then
            when=${when%Z}
            when=${when%.*}
            TZ=UTC0 touch -d "${when%T*} ${when#*T}" "$part" 2> /dev/null ||
                touch -d "${when}Z" "$part" 2> /dev/null || :
        fi
        mv -f -- "$part" "$target/$place" || stop "$given cannot be written"
        return 0
    done
    return 2
}

# link PLACE OTHER...: gives what stands at a place a further name, where the disk can do that.
link() {
    there=$1
    shift
    for other; do
        [ -n "$other" ] || continue
        if [ -e "$target/$other" ] || [ -L "$target/$other" ]; then
            [ -f "$target/$other" ] && hash "$target/$there" && one=$hash &&
                hash "$target/$other" && [ "$hash" = "$one" ] && return 0
            continue
        fi
        [ -d "$target/${other%/*}" ] || mkdir -p -- "$target/${other%/*}" || stop "$given cannot be written"
        if ! wrong=$(ln -- "$target/$there" "$target/$other" 2>&1); then
            case $wrong in *'No space left'* | *quota*) stop "the disk of $given is full" ;; esac
            note nolink
        fi
        return 0
    done
}

done_count=0
# carry_out ELSEWHERE: does what the lines of a plan say.
carry_out() {
    out=
    while IFS=$sep read -r kind guid wanted when from one two three; do
        case $kind in
            F)
                [ "$out" != "$guid" ] || continue
                if put "$from" "$wanted" "$when" "$one" "$two" "$three"; then
                    out=$guid
                    first=$place
                    done_count=$((done_count + 1))
                    note came "$guid" "$place" "$from"
                    [ -z "$1" ] || note elsewhere "$guid" "$place"
                    if [ -t 2 ] && [ $((done_count % 50)) -eq 0 ]; then printf '\r%s files  ' "$done_count" >&2; fi
                elif [ $? -eq 2 ]; then
                    note unread "$from"
                fi
                ;;
            L) [ "$out" != "$guid" ] || link "$first" "$one" "$two" "$three" ;;
            O) if put "$from" "$wanted" '' "$one" "$two" "$three"; then note other "$guid" "$place"; else note unread "$from"; fi ;;
            N) if put "$from" "$wanted" '' "$one" "$two" "$three"; then note nameless "$guid" "$place"; else note unread "$from"; fi ;;
        esac
    done < "$work/plan"
}

while IFS= read -r wrong; do note unread "$wrong"; done < "$work/not-read"
ask plan > "$work/plan" || stop "$given cannot be written"
carry_out ''
ask rest > "$work/rest" || stop "$given cannot be written"
while IFS= read -r path; do
    if hash "./$path"; then printf '%s %s\n' "$hash" "$path"; else note unread "$path"; fi
done < "$work/rest" > "$work/hashed" || stop "$given cannot be written"
ask more > "$work/plan" || stop "$given cannot be written"
carry_out elsewhere

# The ledgers, as they are.
four='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
guid_first=$four$four-$four-$four-$four-$four$four$four
grep '\.jsonl$' "$work/all" | grep -v -E "(^|/)(proofs\.[^/]*|scratch/.*|${guid_first}[^/]*)\$" > "$work/plan" || :
while IFS= read -r path; do
    hash "./$path" || { note unread "$path"; continue; }
    name=${path##*/}
    folder=${path%"$name"}
    folder=${folder%/}
    folder=${folder##*/}
    place=ledgers/${folder:+$folder/}$name
    put "$path" "$hash" '' "$place" "${place%.jsonl} ($(printf '%.8s' "$hash")).jsonl" || note unread "$path"
done < "$work/plan"

# --- telling -------------------------------------------------------------------------------------------

{
    printf 'guid,name,path,size_bytes,sha256,modified,tags,notes,from\n'
    ask table | sort | cut -d "$sep" -f 2- | tr '\002' '\n'
} > "$part" || stop "$given cannot be written"
cmp -s -- "$part" "$target/FILES.csv" || mv -f -- "$part" "$target/FILES.csv" || stop "$given cannot be written"
ask report | sort | sed "s/^.*$sep$sep//" | tr '\002' '\n' > "$part" || stop "$given cannot be written"
cmp -s -- "$part" "$target/REPORT.txt" || mv -f -- "$part" "$target/REPORT.txt" || stop "$given cannot be written"

[ ! -t 2 ] || printf '\r' >&2
printf '%s came out. Read %s\n' "$done_count $([ "$done_count" -eq 1 ] && echo file || echo files)" "$given/REPORT.txt"
grep -q -E '(is|are) missing; see below|^COULD NOT BE READ' "$target/REPORT.txt" && exit 1
exit 0
